"""Fleets whose every word with Redis passes one proxy that can meddle with single messages and commands."""

from coherence.keys import Names
from tests.chaos.fleet import Fleet, MakeFleet
from tests.support.redis_proxy import RedisProxy


async def make_meddled(
    make_fleet: MakeFleet, *, replicas: int = 2, standbys: int = 0, listener: dict[str, str] | None = None
) -> tuple[Fleet, RedisProxy]:
    """Start a fleet, and return it with its proxy. `listener` are settings of the listeners alone.

    `fleet.redis` goes past the proxy.
    """
    fleet = await make_fleet(replicas=0, listeners=0, own_redis=True)
    proxy = await fleet.links.enter_async_context(RedisProxy(fleet.redis_url))
    fleet.redis_url = proxy.url
    for _ in range(1 + standbys):
        await fleet.add_listener(**(listener or {}))
    for _ in range(replicas):
        await fleet.add_api()
    return fleet, proxy


def names_of(fleet: Fleet) -> Names:
    """Return what a fleet's things are called in Redis."""
    return Names(fleet.prefix)
