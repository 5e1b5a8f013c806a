"""The faults that a soak draws from."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

from tests.chaos.faults.clocks import ClockSetBack
from tests.chaos.faults.failover import FailedOver
from tests.chaos.faults.fault import Fault
from tests.chaos.faults.links import LinkRefused, LinkReset, LinkSilent, LinkSlow
from tests.chaos.faults.listeners import (
    ListenerKilled,
    ListenerPaused,
    ListenHalfOpen,
    ListenKilled,
    ListenSilent,
    ScriptHeld,
    Side,
)
from tests.chaos.faults.messages import MessagesLate, SubscriptionsKilled, SubscriptionsSilent
from tests.chaos.faults.postgres import ConnectionsUsedUp, TableLocked
from tests.chaos.faults.redis import (
    Busy,
    Evicting,
    Flushed,
    Forbidden,
    Full,
    GenerationDeleted,
    Loading,
    ReadOnly,
    RedisFault,
    RestartedEmpty,
    SnapshotRestored,
)
from tests.chaos.faults.replicas import ApiKilled, ApiPaused
from tests.chaos.faults.servers import PostgresKilled, ServerPaused
from tests.chaos.fleet import Node
from tests.chaos.readers import NO_ANSWER
from tests.chaos.rig import Rig

UNAVAILABLE = 503
NONE: frozenset[int] = frozenset()
LOST = frozenset({UNAVAILABLE})
GONE = frozenset({NO_ANSWER})
LONG = 3.0
STEP_SECONDS = (0.3, 0.6, 3600.0)
"""By how much a clock is set back: by less than a lease, too."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A kind of fault: how it is made, what it needs for itself, which statuses it calls for.

    Two that harm different things may happen at once.
    """

    name: str
    make: Callable[[Rig, Random], Fault]
    harms: frozenset[str]
    allows: frozenset[int] = NONE


class SnapshotSoonRestored(SnapshotRestored):
    """What is lost is what was bumped in the moments before."""

    async def start(self) -> None:
        """Take the snapshot, wait a moment, crash it and start it with that."""
        await self.remember()
        await asyncio.sleep(0.2)
        await super().start()


def choices() -> list[Choice]:
    """Return the kinds of faults, in a fixed order."""
    return [*_of_replicas(), *_of_listeners(), *_of_messages(), *_of_redis(), *_of_postgres()]


def draw(random: Random, among: Sequence[Choice], most: int) -> list[Choice]:
    """Draw up to `most` faults that can happen at once."""
    drawn: list[Choice] = []
    for choice in random.sample(among, len(among)):
        if len(drawn) < most and not any(choice.harms & other.harms for other in drawn):
            drawn.append(choice)
    return drawn


def _of_replicas() -> list[Choice]:
    def api(rig: Rig, random: Random) -> Node:
        return random.choice(rig.fleet.apis)

    harms = frozenset({"api"})
    return [
        Choice("API paused", lambda rig, random: ApiPaused(api(rig, random).program), harms),
        Choice("API killed", lambda rig, random: ApiKilled(api(rig, random).program), harms | {"postgres"}, GONE),
        Choice("API's Redis silent", lambda rig, random: LinkSilent(api(rig, random).redis), harms),
        Choice("API's Redis slow", lambda rig, random: LinkSlow(api(rig, random).redis), harms),
        Choice("API's Redis refused", lambda rig, random: LinkRefused(api(rig, random).redis), harms),
        Choice("API's Redis reset", lambda rig, random: LinkReset(api(rig, random).redis), harms),
        Choice("API's Postgres silent", lambda rig, random: LinkSilent(api(rig, random).postgres), harms, LOST),
        Choice("API's Postgres slow", lambda rig, random: LinkSlow(api(rig, random).postgres), harms, LOST),
        Choice("API's Postgres reset", lambda rig, random: LinkReset(api(rig, random).postgres), harms, LOST),
    ]


def _of_listeners() -> list[Choice]:
    def ear(rig: Rig, random: Random) -> Node:
        return random.choice(rig.fleet.ears)

    # A listener that starts waits for both servers.
    harms = frozenset({"listener"})
    return [
        Choice(
            "listener killed",
            lambda rig, random: ListenerKilled(ear(rig, random).program),
            harms | {"postgres", "redis"},
        ),
        Choice("listener paused", lambda rig, random: ListenerPaused(ear(rig, random).program), harms),
        Choice("LISTEN killed", lambda rig, _: ListenKilled(rig.fleet.database_url), harms | {"postgres"}),
        Choice("LISTEN half-open", lambda rig, random: ListenHalfOpen(ear(rig, random).postgres), harms),
        Choice("LISTEN silent", lambda rig, random: ListenSilent(ear(rig, random).postgres), harms),
    ]


def _of_messages() -> list[Choice]:
    harms = frozenset({"messages"})
    return [
        Choice("subscriptions killed", lambda rig, _: SubscriptionsKilled(rig.fleet.redis), harms | {"redis"}),
        Choice("subscriptions silent", lambda rig, _: SubscriptionsSilent(rig.proxy), harms),
        Choice("messages late", lambda rig, random: MessagesLate(rig.proxy, random.uniform(0.1, 5.0)), harms),
        Choice("bump held", lambda rig, random: ScriptHeld(rig.proxy, "bump", _side(random)), harms),
        Choice("renewal held", lambda rig, random: ScriptHeld(rig.proxy, "renew", _side(random)), harms),
    ]


def _side(random: Random) -> Side:
    return random.choice(("command", "answer"))


def _of_redis() -> list[Choice]:
    harms = frozenset({"redis"})
    kinds: tuple[type[RedisFault], ...] = (
        GenerationDeleted,
        Flushed,
        Evicting,
        RestartedEmpty,
        SnapshotSoonRestored,
        ReadOnly,
        Full,
        Loading,
        Forbidden,
        Busy,
    )
    own = [Choice(f"Redis: {kind.name}", partial(_redis_fault, kind), harms) for kind in kinds]
    return [
        *own,
        Choice("Redis: paused", lambda rig, _: ServerPaused(rig.fleet.own_redis), harms),
        Choice(
            "Redis: clock set back", lambda rig, random: ClockSetBack(rig.clock, random.choice(STEP_SECONDS)), harms
        ),
        Choice(
            "Redis: failed over",
            lambda rig, random: FailedOver(rig, random.choice(rig.fleet.apis), random.uniform(0.0, 0.5)),
            harms | {"api", "messages", "listener"},
        ),
    ]


def _redis_fault(kind: type[RedisFault], rig: Rig, _: Random) -> Fault:
    return kind(rig.fleet.own_redis, rig.fleet.redis, rig.names)


def _of_postgres() -> list[Choice]:
    harms = frozenset({"postgres"})
    return [
        Choice("Postgres killed", lambda rig, _: PostgresKilled(rig.fleet.own_postgres), harms, LOST),
        Choice("Postgres paused", lambda rig, _: ServerPaused(rig.fleet.own_postgres), harms, LOST),
        Choice("table locked", lambda rig, _: TableLocked(rig.fleet), harms, LOST),
        Choice("connections used up", lambda rig, _: ConnectionsUsedUp(rig.fleet), harms | {"api", "listener"}, LOST),
    ]
