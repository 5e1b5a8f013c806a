"""Redis fails over, and what it was told last is lost."""

import asyncio
from dataclasses import dataclass, field
from typing import ClassVar

from redis.asyncio import Redis

from tests.chaos.faults.fault import Fault
from tests.chaos.faults.redis import execute
from tests.chaos.fleet import Node
from tests.chaos.rig import Rig
from tests.support.own_servers import OwnValkey
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

PATIENCE_SECONDS = 30.0


@dataclass
class FailedOver(Fault):
    """A replica of Redis that lags by so many seconds is made the primary; one process stays with the old one.

    In the end the old primary, which follows the new one by then, is made the primary again.
    """

    name: ClassVar[str] = "failed over"
    rig: Rig
    straggler: Node
    lag: float
    _new: list[OwnValkey] = field(default_factory=list)

    async def start(self) -> None:
        """Promote the replica, and lead all but the straggler to it."""
        old = self.rig.fleet.own_redis
        new = await asyncio.to_thread(lambda: self.rig.room.valkey(repl_diskless_sync_delay="0"))
        self._new.append(new)
        async with Proxy(old.url) as link, Redis.from_url(new.url) as client:
            await follow(client, link.port)
            link.stall()
            await asyncio.sleep(self.lag)
            await execute(client, "REPLICAOF", "NO", "ONE")
        self.straggler.redis.target = Proxy(old.url).target
        self.straggler.redis.reset()
        self._lead_to(new)

    async def heal(self) -> None:
        """Have the old primary follow the new one, and take its place."""
        old, new = self.rig.fleet.own_redis, self._new.pop()
        await follow(self.rig.fleet.redis, Proxy(new.url).target[1])
        await execute(self.rig.fleet.redis, "REPLICAOF", "NO", "ONE")
        self.straggler.redis.target = Proxy(self.rig.proxy.url).target
        self.straggler.redis.reset()
        self._lead_to(old)
        await asyncio.to_thread(new.stop)

    def _lead_to(self, server: OwnValkey) -> None:
        self.rig.proxy.target = Proxy(server.url).target
        self.rig.proxy.reset()


async def follow(redis: Redis, port: int) -> None:
    """Make a server the replica of another, and wait until it has what that one has."""
    await execute(redis, "REPLICAOF", "127.0.0.1", str(port))

    async def in_sync() -> bool:
        return bool((await redis.info("replication")).get("master_link_status") == "up")

    await eventually(in_sync, within=PATIENCE_SECONDS)
