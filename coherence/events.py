"""What the core reports. It neither logs nor counts: observers make log lines and metrics of these events.

Events of the hit path are plain calls with little in them: an observer should do as little.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from coherence.audit import Finding
from coherence.changes import Bump
from coherence.view import Polled, Received

Operation = Literal["get", "set", "decode", "turn", "publish", "poll", "subscribe", "sweep", "presence"]


@dataclass(frozen=True, slots=True)
class Hit:
    """A request was answered from a cache."""

    namespace: str
    layer: Literal["l1", "l2"]


@dataclass(frozen=True, slots=True)
class Unproven:
    """A request was answered with what could not be proven fresh, as the policy allows."""

    namespace: str
    policy: Literal["ttl", "stale-if-error"]


@dataclass(frozen=True, slots=True)
class Missed:
    """A request found nothing that may be served; `stale` where it found something outdated."""

    namespace: str
    stale: bool


@dataclass(frozen=True, slots=True)
class Bypassed:
    """A request did not ask the caches, for `reason`."""

    namespace: str
    reason: str


@dataclass(frozen=True, slots=True)
class Joined:
    """A request shares a load that was under way."""

    namespace: str


@dataclass(frozen=True, slots=True)
class TurnTaken:
    """A load for all processes: ours ("won"), another's ("shared"), or ours after waiting in vain ("timeout").

    `seconds` is what that took.
    """

    namespace: str
    outcome: Literal["won", "shared", "timeout"]
    seconds: float


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A hot entry near its end: it was loaded anew, another process' was taken, or nothing came of it.

    "busy": there was no place to spare for it.
    """

    namespace: str
    outcome: Literal["loaded", "taken", "left", "busy", "error"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A load from the database ended after `seconds`; `outcome` is "ok" or "error"."""

    namespace: str
    seconds: float
    outcome: Literal["ok", "error"]


@dataclass(frozen=True, slots=True)
class Judged:
    """An entry met changes of its namespace that it had not met before, and was spared by them or not."""

    namespace: str
    spared: bool


@dataclass(frozen=True, slots=True)
class Shed:
    """A load found no free place in time."""

    namespace: str


@dataclass(frozen=True, slots=True)
class Operated:
    """A Redis operation ended after `seconds`; `error` says what went wrong, if anything did."""

    operation: Operation
    seconds: float
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Coded:
    """A body of `plain` bytes was compressed to `coded` ones; with the wait for its turn, that took `seconds`."""

    coding: str
    seconds: float
    plain: int
    coded: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """An entry in Redis was not one of ours, or damaged; it was removed."""

    namespace: str
    reason: str


@dataclass(frozen=True, slots=True)
class Invalidated:
    """A bump arrived, `latency` seconds after it was made (None where that cannot be told)."""

    bump: Bump
    received: Received
    latency: float | None


@dataclass(frozen=True, slots=True)
class ViewPolled:
    """A poll ended, and left the view valid or not."""

    outcome: Polled
    valid: bool


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The backplane is subscribed (again)."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A publisher waited for the other caches: `received` of `expected` said in time that they have it."""

    received: int
    expected: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Audited:
    """A hit was looked at again."""

    finding: Finding


@dataclass(frozen=True, slots=True)
class AuditDropped:
    """A hit that was to be looked at again was not, for want of time or of a free place to load in."""

    namespace: str


Event = (
    Hit
    | Audited
    | AuditDropped
    | Unproven
    | Missed
    | Bypassed
    | Joined
    | TurnTaken
    | Refreshed
    | Loaded
    | Judged
    | Shed
    | Operated
    | Coded
    | Rejected
    | Invalidated
    | ViewPolled
    | Subscribed
    | Acknowledged
)


class Observer(Protocol):
    """Takes events as they happen, in the process' event loop. It must neither block nor raise."""

    def __call__(self, event: Event, /) -> None:
        """Take an event."""


def ignore(_: Event, /) -> None:
    """Observe nothing."""
