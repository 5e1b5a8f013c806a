"""Redis fails over to a replica that lacks the last bumps, and not everybody follows."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

import pytest
from redis.asyncio import Redis

from tests.acceptance.system import layer
from tests.chaos.faults.redis import execute
from tests.chaos.fleet import Fleet, MakeFleet, Node
from tests.chaos.meddling import names_of
from tests.chaos.trial import Run, Trial
from tests.chaos.writer import TARGETS
from tests.support.own_servers import ServerRoom
from tests.support.proxy import Proxy
from tests.support.waiting import eventually


@dataclass
class Pair:
    """A fleet's Redis and its replica, which follows it through a link that can be cut."""

    fleet: Fleet
    link: Proxy
    """Through which the replica follows the primary."""
    way_back: Proxy
    """Through which the old primary follows the new one."""
    replica_url: str
    replica: Redis

    async def lags(self, trial: Trial, *, unheard_by: Node) -> None:
        """Cut the replica off, and have everything change; one process does not hear of it from Redis."""
        self.link.stall()
        unheard_by.redis.stall()
        before = await self.generation(self.fleet.redis)
        await trial.writer.change_all()
        await eventually(lambda: self._bumped(before), within=20.0)
        assert await self.generation(self.replica) <= before

    async def _bumped(self, before: int) -> bool:
        return await self.generation(self.fleet.redis) > before

    async def promote(self, *followers: Node) -> None:
        """Make a primary of the replica, and lead these processes to it."""
        await execute(self.replica, "REPLICAOF", "NO", "ONE")
        lead(self.replica_url, followers)

    async def reunite(self, *, old_follows: bool) -> None:
        """Have one of the two follow the other again, and lead everybody to the primary."""
        nodes = [*self.fleet.apis, *self.fleet.ears]
        self.link.resume()
        if old_follows:
            await execute(self.fleet.redis, "REPLICAOF", "127.0.0.1", str(self.way_back.port))
            lead(self.replica_url, nodes)
        else:
            await execute(self.replica, "REPLICAOF", "127.0.0.1", str(self.link.port))
            lead(self.fleet.own_redis.url, nodes)

    async def generation(self, redis: Redis) -> int:
        """Return the generation that one of the two has."""
        return int(await redis.get(names_of(self.fleet).generation) or 0)


def lead(url: str, nodes: Iterable[Node]) -> None:
    """Let these processes' connections to Redis lead to another server from here on."""
    for node in nodes:
        node.redis.target = Proxy(url).target
        node.redis.reset()
        node.redis.resume()


@pytest.fixture
async def pair(make_fleet: MakeFleet, own_room: ServerRoom) -> AsyncIterator[Pair]:
    """Two replicas, a listener, and a Redis with a replica."""
    fleet = await make_fleet(own_redis={"repl-diskless-sync-delay": "0"})
    link = await fleet.links.enter_async_context(Proxy(fleet.redis_url))
    server = own_room.valkey(repl_diskless_sync_delay="0")
    way_back = await fleet.links.enter_async_context(Proxy(server.url))
    async with Redis.from_url(server.url) as replica:
        await execute(replica, "REPLICAOF", "127.0.0.1", str(link.port))
        pair = Pair(fleet, link, way_back, server.url, replica)
        await eventually(lambda: in_sync(pair), within=20.0)
        yield pair


async def in_sync(pair: Pair) -> bool:
    """Tell whether the replica has what the primary has."""
    return bool(await pair.generation(pair.replica))


async def without_lease(pair: Pair, replica: int) -> None:
    """Wait until a process of the API answers from Postgres for want of a lease."""

    async def bypasses() -> bool:
        return layer(await pair.fleet.get(replica, TARGETS[0].path)) == "no-lease"

    await eventually(bypasses, within=20.0)


@pytest.mark.scenario("redis-failover")
async def test_all_follow_the_new_primary(pair: Pair, run: Run) -> None:
    """The replica takes over without the last bumps, and everybody follows."""
    async with run(pair.fleet) as trial, trial.fault("failover"):
        await trial.writer.pause()
        await pair.lags(trial, unheard_by=pair.fleet.apis[1])
        await pair.promote(*pair.fleet.apis, *pair.fleet.ears)
        await trial.lasts(2 * pair.fleet.bound)
        trial.writer.resume()


@pytest.mark.quick
@pytest.mark.scenario("redis-failover-old-primary-reachable")
async def test_one_process_stays_with_the_old_primary(pair: Pair, run: Run) -> None:
    """The listener follows, and so does one replica of the API: nobody renews the lease that the other one sees."""
    fleet = pair.fleet
    async with run(fleet) as trial, trial.fault("split brain"):
        await pair.lags(trial, unheard_by=pair.fleet.apis[1])
        await pair.promote(fleet.apis[1], *fleet.ears)
        await trial.lasts(2 * fleet.bound)
        await without_lease(pair, 0)
        await pair.reunite(old_follows=True)


@pytest.mark.scenario("redis-failover-listener-stays")
async def test_the_listener_stays_with_the_old_primary(pair: Pair, run: Run) -> None:
    """One replica of the API follows, the listener does not: the new primary has but the lease that it inherited."""
    fleet = pair.fleet
    async with run(fleet) as trial, trial.fault("split brain"):
        await trial.writer.pause()
        await pair.lags(trial, unheard_by=pair.fleet.apis[1])
        await pair.promote(fleet.apis[1])
        await trial.lasts(1.5 * fleet.bound)
        trial.writer.resume()
        await trial.lasts(fleet.bound)
        await without_lease(pair, 1)
        await pair.reunite(old_follows=False)


@pytest.mark.scenario("redis-failover-old-primary-demoted")
async def test_one_process_reads_from_the_demoted_primary(pair: Pair, run: Run) -> None:
    """The old primary follows the new one, until it does not, and one replica of the API goes on asking it."""
    fleet = pair.fleet
    async with run(fleet) as trial, trial.fault("demoted"):
        await pair.lags(trial, unheard_by=fleet.apis[1])
        await pair.promote(fleet.apis[1], *fleet.ears)
        await pair.reunite(old_follows=True)
        lead(fleet.own_redis.url, [fleet.apis[0]])
        await trial.lasts(2 * fleet.bound)
        await trial.writer.pause()
        pair.way_back.stall()
        await trial.writer.change_all()
        await without_lease(pair, 0)
        pair.way_back.resume()
        trial.writer.resume()
        lead(pair.replica_url, [fleet.apis[0]])
