"""A fleet for every fault: its own servers, and Redis behind a proxy that meddles, by a clock that is set at will."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from coherence.keys import Names
from tests.chaos.fleet import Fleet, Shipyard
from tests.chaos.meddling import names_of
from tests.support.fake_clock import FakeClock
from tests.support.own_servers import ServerRoom
from tests.support.processes import Programs
from tests.support.redis_proxy import RedisProxy


@dataclass(frozen=True, slots=True)
class Rig:
    """A fleet, the proxy that all its words with Redis pass, Redis' clock, and room for more servers."""

    fleet: Fleet
    proxy: RedisProxy
    clock: FakeClock
    room: ServerRoom

    @property
    def names(self) -> Names:
        """What the fleet's things are called in Redis."""
        return names_of(self.fleet)


@asynccontextmanager
async def make_rig(directory: Path, *, replicas: int = 3, standbys: int = 1) -> AsyncIterator[Rig]:
    """Start replicas, listeners and servers with their files in `directory`, and end them.

    The account of Postgres must be able to enter the directory.
    """
    room, programs, clock = ServerRoom(directory), Programs(directory), FakeClock(directory)
    try:
        async with AsyncExitStack() as stack:
            launch = Shipyard(programs, room, stack, database_url="", redis_url="", prefix="").launch
            fleet = await launch(replicas=0, listeners=0, own_postgres=True, own_redis={"binary": str(clock.wrap())})
            proxy = await fleet.links.enter_async_context(RedisProxy(fleet.redis_url))
            fleet.redis_url = proxy.url
            for _ in range(1 + standbys):
                await fleet.add_listener()
            for _ in range(replicas):
                await fleet.add_api()
            yield Rig(fleet, proxy, clock, room)
            await programs.close()
    finally:
        room.close()
