"""The faults that a soak draws from."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.chaos.faults.fault import Fault
from tests.chaos.faults.links import LinkRefused, LinkReset, LinkSilent, LinkSlow
from tests.chaos.faults.replicas import ApiKilled, ApiPaused
from tests.chaos.faults.servers import PostgresKilled, RedisKilled, ServerPaused
from tests.chaos.fleet import Fleet, Node
from tests.chaos.readers import NO_ANSWER

UNAVAILABLE = 503
NONE: frozenset[int] = frozenset()
LONG = 3.0


@dataclass(frozen=True, slots=True)
class Choice:
    """A kind of fault: how it is made, what it needs for itself, which statuses it calls for, how long it may last.

    `longest` is in bounds. Two that harm different things may happen at once.
    """

    name: str
    make: Callable[[Fleet, Random], Fault]
    harms: frozenset[str]
    allows: frozenset[int] = NONE
    longest: float = LONG


def choices() -> list[Choice]:
    """Return the kinds of faults, in a fixed order."""
    api, postgres, redis = (frozenset({each}) for each in ("api", "postgres", "redis"))
    lost, gone = frozenset({UNAVAILABLE}), frozenset({NO_ANSWER})
    return [
        Choice("API paused", lambda fleet, random: ApiPaused(_api(fleet, random).program), api),
        Choice("API killed", lambda fleet, random: ApiKilled(_api(fleet, random).program), api | postgres, gone),
        Choice("API's Redis silent", lambda fleet, random: LinkSilent(_api(fleet, random).redis), api),
        Choice("API's Redis slow", lambda fleet, random: LinkSlow(_api(fleet, random).redis), api),
        Choice("API's Redis refused", lambda fleet, random: LinkRefused(_api(fleet, random).redis), api),
        Choice("API's Redis reset", lambda fleet, random: LinkReset(_api(fleet, random).redis), api),
        Choice("API's Postgres silent", lambda fleet, random: LinkSilent(_api(fleet, random).postgres), api, lost),
        Choice("API's Postgres slow", lambda fleet, random: LinkSlow(_api(fleet, random).postgres), api, lost),
        Choice("API's Postgres reset", lambda fleet, random: LinkReset(_api(fleet, random).postgres), api, lost),
        Choice("Redis killed", lambda fleet, _: RedisKilled(fleet.own_redis), redis),
        Choice("Redis paused", lambda fleet, _: ServerPaused(fleet.own_redis), redis),
        Choice("Postgres killed", lambda fleet, _: PostgresKilled(fleet.own_postgres), postgres, lost),
        Choice("Postgres paused", lambda fleet, _: ServerPaused(fleet.own_postgres), postgres, lost),
    ]


def draw(random: Random, among: list[Choice], most: int) -> list[Choice]:
    """Draw up to `most` faults that can happen at once."""
    drawn: list[Choice] = []
    for choice in random.sample(among, len(among)):
        if len(drawn) < most and not any(choice.harms & other.harms for other in drawn):
            drawn.append(choice)
    return drawn


def _api(fleet: Fleet, random: Random) -> Node:
    return random.choice(fleet.apis)
