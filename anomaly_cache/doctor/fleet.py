"""The deployment at work: its lease and generation, its listeners and API processes, and how far behind they are."""

from collections.abc import Iterator, Sequence
from importlib.metadata import version

from anomaly_cache.deployment import Deployment
from anomaly_cache.doctor.finding import Finding, failing, ok, warning
from coherence.generation import GenerationKey, Reading
from coherence.presence import Presence, present
from coherence.redis_client import RedisUnavailable

SLOW_MILLISECONDS = 250.0
RUNBOOKS = "docs/operations.md#"


async def of_fleet(at: Deployment) -> list[Finding]:
    """Return what there is to say of the processes, as they tell it in Redis."""
    try:
        there = await present(at.redis, at.names, at.timeout)
        # Afterwards: whoever has a later generation than this one is ahead of Redis.
        reading = await GenerationKey(at.redis, at.names, at.timeout).read()
    except RedisUnavailable as error:
        return [failing("lease", f"Redis does not tell: {error}", "mend what is found of redis and its rights")]
    listeners = [each for each in there if each.kind == "listener"]
    apis = [each for each in there if each.kind == "api"]
    return [
        _lease(reading, listeners),
        *_listeners(listeners),
        *_apis(apis, reading),
        *_versions(there),
        *_bounds(there),
    ]


def _lease(reading: Reading, listeners: Sequence[Presence]) -> Finding:
    if reading.generation is None or reading.pttl <= 0:
        problem = next((each.problem for each in listeners if each.problem), None)
        mend = f"mend what else fails here, or what the listener's /readyz says: {RUNBOOKS}cache-lease-missing"
        return failing(
            "lease",
            f"there is none, so nothing is cached{f': {problem}' if problem else ''}",
            mend if listeners else "start `anomaly-cache listener`",
        )
    namespaces = ", ".join(sorted(reading.namespaces)) or "none"
    return ok("lease", f"{reading.pttl:.2f} s left, generation {reading.generation}, for {namespaces}")


def _listeners(listeners: Sequence[Presence]) -> Iterator[Finding]:
    active = [each for each in listeners if each.state == "active"]
    standby = [each for each in listeners if each.state == "standby"]
    if not listeners:
        remedy = "start `anomaly-cache listener`, with the REDIS_URL and CACHE_PREFIX that are in effect here"
        yield failing("listeners", "none is there", remedy)
    elif not active:
        detail = f"none is active, {len(standby)} on standby"
        yield failing("listeners", detail, f"see who holds their lock: {RUNBOOKS}cache-listener-not-active")
    elif not standby:
        remedy = "start a second `anomaly-cache listener`, on another machine"
        yield warning("listeners", "one is active, none on standby", remedy)
    else:
        yield ok("listeners", f"{len(active)} active, {len(standby)} on standby")
    for each in listeners:
        if each.problem is not None:
            remedy = f"mend that; what else it may be: {RUNBOOKS}cache-listener-deaf"
            yield failing(f"listener {each.host}:{each.pid}", each.problem, remedy)


def _apis(apis: Sequence[Presence], reading: Reading) -> Iterator[Finding]:
    if not apis:
        remedy = "start `anomaly-cache api`, with the REDIS_URL and CACHE_PREFIX that are in effect here"
        yield warning("api processes", "none says that it is there", remedy)
        return
    lags = [each.applied[-1].milliseconds for each in apis if each.applied]
    slowest = f"; the latest change took {max(lags):.1f} ms to the slowest" if lags else ""
    yield ok("api processes", f"{len(apis)}{slowest}")
    for each in apis:
        check = f"api {each.host}:{each.pid}"
        if each.state != "serving":
            remedy = f"look for `cache off` in its log: {RUNBOOKS}cache-lease-missing"
            yield failing(check, each.problem or each.state, remedy)
        elif each.applied and each.applied[-1].milliseconds > SLOW_MILLISECONDS:
            yield warning(
                check,
                f"the latest change took {each.applied[-1].milliseconds:.0f} ms to it",
                f"look for a busy event loop or a slow network: {RUNBOOKS}cache-invalidation-slow",
            )
        elif reading.generation is not None and each.generation > reading.generation:
            remedy = "nothing, if it is gone when you look again: the listener mends it within the bound"
            yield warning(check, "is ahead of Redis, which has lost something", remedy)


def _versions(found: Sequence[Presence]) -> Iterator[Finding]:
    ours = version("anomaly-cache")
    others = sorted({each.version for each in found} - {ours})
    if others:
        yield warning(
            "versions",
            f"this is {ours}, and there are processes of {', '.join(others)}",
            f"install the same everywhere, and restart them: {RUNBOOKS}how-do-i-deploy-a-new-version",
        )
    elif found:
        yield ok("versions", f"all are {ours}")


def _bounds(found: Sequence[Presence]) -> Iterator[Finding]:
    bounds = sorted({each.bound for each in found})
    if len(bounds) > 1:
        yield failing(
            "bound",
            f"processes have different ones: {', '.join(f'{bound:g} s' for bound in bounds)}",
            f"set CACHE_MAX_STALENESS_SECONDS={bounds[0]:g}, or any other, for all of them, and restart them",
        )
