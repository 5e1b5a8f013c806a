"""A Redis that stops, dies, comes back or was never there: what it costs, and that no old answer is given."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from coherence.changes import Change
from coherence.clock import monotonic
from coherence.events import Invalidated, Operated
from coherence.query import Query
from tests.support.coherences import Deployment, Replica, Vouching
from tests.support.own_servers import OwnValkey
from tests.support.waiting import eventually

BOUND = 2.0
TIMEOUT_MS = 250


class Site:
    """A Redis to break, a listener, and two processes."""

    def __init__(self, server: OwnValkey, deployment: Deployment, listener: Vouching, replicas: list[Replica]) -> None:
        self.server = server
        self.deployment = deployment
        self.listener = listener
        self.replicas = replicas

    async def caching(self) -> None:
        """Wait until both processes cache, and have an answer in memory."""
        for replica in self.replicas:
            await replica.caching(within=20)
            await replica.get()

    async def bound_passed(self) -> None:
        """Wait until everything that was committed before must be seen."""
        bound = monotonic() + self.deployment.bound
        await eventually(lambda: monotonic() > bound, within=10)


@pytest.fixture
async def site(own_redis: Callable[..., OwnValkey]) -> AsyncIterator[Site]:
    """A site in good order."""
    server = own_redis()
    deployment = Deployment(server.url, bound=BOUND)
    async with AsyncExitStack() as stack:
        listener = await stack.enter_async_context(deployment.listener())
        await stack.enter_async_context(listener.vouching())
        replicas = [
            await stack.enter_async_context(deployment.replica(redis_timeout_ms=TIMEOUT_MS, ack_timeout=0.1))
            for _ in range(2)
        ]
        site = Site(server, deployment, listener, replicas)
        await site.caching()
        yield site


@pytest.mark.parametrize("fault", ["paused", "killed"])
async def test_a_put_that_cannot_be_announced_is_announced_when_redis_is_back(site: Site, fault: str) -> None:
    """It returns in time. Its process believes its caches no more at once, the others no longer than the bound."""
    one, other = site.replicas
    if fault == "paused":
        site.server.pause()
    else:
        site.server.kill()
    began = time.monotonic()
    published = await one.put(b"new")
    took = time.monotonic() - began
    assert published.generation is None
    assert took < 2 * TIMEOUT_MS / 1000 + 1
    assert (await one.get()).body == b"new"
    await site.bound_passed()
    assert (await other.get()).body == b"new"
    if fault == "paused":
        site.server.resume()
    else:
        site.server.start()
    await site.caching()
    for replica in site.replicas:
        assert (await replica.get()).body == b"new"
        causes = {change.cause for event in replica.seen(Invalidated) for change in event.bump.changes}
        assert "put" in causes, "the change was to be announced when Redis was back"
    assert not one.coherence.view.distrusted


async def test_a_process_that_distrusts_itself_believes_no_poll(site: Site) -> None:
    """The polls are answered, the announcement is not: only once it is told may the caches be asked again."""
    one, _ = site.replicas
    await site.listener.redis.acl_setuser("default", enabled=True, nopass=True, commands=["-evalsha", "-eval"])
    try:
        assert (await one.put(b"new")).generation is None
        before = len(one.seen(Operated))
        await eventually(lambda: len([e for e in one.seen(Operated)[before:] if e.operation == "poll"]) >= 2)
        assert not one.valid
        assert (await one.get()).body == b"new"
    finally:
        await site.listener.redis.acl_setuser("default", enabled=True, nopass=True, commands=["+evalsha", "+eval"])
    await site.caching()
    assert (await one.get()).body == b"new"


async def test_a_commit_while_redis_hangs_is_seen_within_the_bound(site: Site) -> None:
    """Nobody hears of it; the leases run out, and answers come from the database at its own speed."""
    site.server.pause()
    site.listener.commit_soon_told(b"new")
    await site.bound_passed()
    for replica in site.replicas:
        began = time.monotonic()
        for _ in range(50):
            answer = await replica.get()
            assert (answer.body, answer.reason) == (b"new", "no-lease")
        assert time.monotonic() - began < 50 * TIMEOUT_MS / 1000 / 2, "no request waits for Redis without a view"
    site.server.resume()
    await site.caching()
    for replica in site.replicas:
        assert (await replica.get()).body == b"new"


async def test_a_hang_costs_the_requests_of_a_valid_view_one_timeout_in_all(site: Site) -> None:
    """The first to miss finds out; the others go straight to the database."""
    one, _ = site.replicas
    queries = [Query("anomalies", {"cold": number}) for number in range(20)]
    site.server.pause()
    assert one.valid
    began = time.monotonic()
    for query in queries:
        assert (await one.get(query)).body == b"old"
    assert time.monotonic() - began < len(queries) * TIMEOUT_MS / 1000 / 2
    site.server.resume()
    await site.caching()
    names: list[str] = []

    async def written() -> int:
        query = Query("anomalies", {"warm": len(names)})
        names.append(one.coherence.names.entry(query.key))
        await one.get(query)
        written: int = await one.coherence.redis.exists(*names)
        return written

    assert await eventually(written), "Redis is used again"


async def test_a_redis_that_comes_back_empty_has_no_old_answers(site: Site) -> None:
    """Killed and started again without its data, again and again, with a commit in between."""
    for turn in range(2):
        row = f"row {turn}".encode()
        site.server.kill()
        site.listener.commit_soon_told(row)
        site.server.start()
        await site.bound_passed()
        for replica in site.replicas:
            assert (await replica.get()).body == row
        await site.caching()
        for replica in site.replicas:
            assert (await replica.get()).body == row


async def test_everything_works_without_redis_and_with_it_as_soon_as_it_is_there(
    own_redis: Callable[..., OwnValkey],
) -> None:
    """The order in which things start does not matter."""
    server = own_redis()
    server.stop()
    deployment = Deployment(server.url, bound=BOUND)
    async with deployment.replica(redis_timeout_ms=TIMEOUT_MS) as replica, deployment.listener() as listener:
        assert (await replica.get()).reason == "no-lease"
        assert (await replica.put(b"new")).generation is None
        assert (await replica.get()).body == b"new"
        server.start()
        async with listener.vouching():
            await replica.caching(within=20)
            await replica.get()
            assert (await replica.get()).layer == "l1"


async def test_a_full_redis_costs_the_cache_and_no_answer(site: Site) -> None:
    """One that takes no writes: changes are seen within the bound, and caching is back when there is room."""
    await site.listener.redis.config_set("maxmemory", "1")
    site.listener.commit_soon_told(b"new")
    await site.bound_passed()
    for replica in site.replicas:
        assert (await replica.get()).body == b"new"
    await site.listener.redis.config_set("maxmemory", "0")
    await site.caching()
    for replica in site.replicas:
        assert (await replica.get()).body == b"new"


async def test_a_crowd_during_faults_gets_answers_and_leaves_nothing_behind(site: Site) -> None:
    """Requests go on through pauses, deaths and returns: each is answered, and none with a row older than the bound."""
    generation = await site.listener.commit(b"0")
    for replica in site.replicas:
        await replica.at(generation)
    commits: list[tuple[float, int]] = [(monotonic(), 0)]
    done = asyncio.Event()

    async def read(replica: Replica) -> int:
        answers = 0
        while not done.is_set():
            asked = monotonic()
            answer = await replica.get()
            least = max(number for at, number in commits if at < asked - BOUND or number == 0)
            assert int(answer.body) >= least, f"{answer} misses a commit that is {asked - commits[least][0]:g} s old"
            answers += 1
            await asyncio.sleep(0.001)
        return answers

    async def write() -> None:
        for fault in (site.server.pause, site.server.resume, site.server.kill, site.server.start) * 2:
            fault()
            until = monotonic() + 0.5
            while monotonic() < until:
                number = commits[-1][1] + 1
                site.deployment.database.row = str(number).encode()
                commits.append((monotonic(), number))
                await site.replicas[number % 2].coherence.publish([Change("anomalies", "put")])
                await asyncio.sleep(0.02)
        done.set()

    results = await asyncio.gather(write(), *(read(replica) for replica in site.replicas * 3))
    assert all(count is None or count > 10 for count in results)
    await site.caching()
    await site.bound_passed()
    for replica in site.replicas:
        assert int((await replica.get()).body) == commits[-1][1]
        assert (await replica.get()).layer == "l1"
