"""The deployment at work: its lease and generation, its listeners and API processes, and how far behind they are."""

from collections.abc import Iterator, Sequence

from anomaly_cache.deployment import Deployment
from anomaly_cache.doctor.finding import Finding, failing, ok, warning
from coherence.generation import GenerationKey, Reading
from coherence.presence import Presence, present
from coherence.redis_client import RedisUnavailable

SLOW_MILLISECONDS = 250.0


async def of_fleet(at: Deployment) -> list[Finding]:
    """Return what there is to say of the processes, as they tell it in Redis."""
    try:
        reading = await GenerationKey(at.redis, at.names, at.timeout).read()
        there = await present(at.redis, at.names, at.timeout)
    except RedisUnavailable as error:
        return [failing("lease", f"Redis does not answer: {error}", "see the finding on redis")]
    listeners = [each for each in there if each.kind == "listener"]
    apis = [each for each in there if each.kind == "api"]
    return [_lease(reading, listeners), *_listeners(listeners), *_apis(apis, reading), *_bounds(there)]


def _lease(reading: Reading, listeners: Sequence[Presence]) -> Finding:
    if reading.generation is None or reading.pttl <= 0:
        problem = next((each.problem for each in listeners if each.problem), None)
        return failing(
            "lease",
            f"there is none, so nothing is cached{f': {problem}' if problem else ''}",
            "start `anomaly-cache listener`" if not listeners else "mend what the listener says: see its /readyz",
        )
    namespaces = ", ".join(sorted(reading.namespaces)) or "none"
    return ok("lease", f"{reading.pttl:.2f} s left, generation {reading.generation}, for {namespaces}")


def _listeners(listeners: Sequence[Presence]) -> Iterator[Finding]:
    active = [each for each in listeners if each.state == "active"]
    standby = [each for each in listeners if each.state == "standby"]
    if not active:
        yield failing("listeners", "none is active", "start `anomaly-cache listener` with the same Redis and prefix")
    elif not standby:
        yield warning("listeners", "one is active, none on standby", "start a second one, on another machine")
    else:
        yield ok("listeners", f"{len(active)} active, {len(standby)} on standby")
    for each in listeners:
        if each.problem is not None:
            yield failing(f"listener {each.host}:{each.pid}", each.problem, "see its log, and docs/operations.md")


def _apis(apis: Sequence[Presence], reading: Reading) -> Iterator[Finding]:
    if not apis:
        yield warning("api processes", "none says that it is there", "start `anomaly-cache api`")
        return
    yield ok("api processes", f"{len(apis)}")
    for each in apis:
        check = f"api {each.host}:{each.pid}"
        if each.state != "serving":
            yield failing(
                check,
                each.problem or each.state,
                "look for its `cache off` log line: docs/operations.md says what each reason means",
            )
        elif each.applied and each.applied[-1].milliseconds > SLOW_MILLISECONDS:
            yield warning(
                check,
                f"the latest change took {each.applied[-1].milliseconds:.0f} ms to it",
                "look for a busy event loop or a slow network",
            )
        elif reading.generation is not None and each.generation > reading.generation:
            yield warning(check, "is ahead of Redis, which has lost something", "it mends itself within the bound")


def _bounds(found: Sequence[Presence]) -> Iterator[Finding]:
    bounds = sorted({each.bound for each in found})
    if len(bounds) > 1:
        yield failing(
            "bound",
            f"processes have different ones: {', '.join(f'{bound:g} s' for bound in bounds)}",
            "set CACHE_MAX_STALENESS_SECONDS to the same everywhere",
        )
