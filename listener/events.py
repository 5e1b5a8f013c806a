"""What the listener reports. Observers make log lines, metrics and health of these events."""

from dataclasses import dataclass
from typing import Literal, Protocol

from coherence.changes import Bump, Change
from coherence.generation import Renewed
from listener.triggers import Audit

Role = Literal["connecting", "standby", "active"]
"""What a listener does: look for Postgres, wait for its turn, or serve."""

Obstacle = Literal["postgres", "redis", "triggers", "late", "clock", "server"]
"""Why no lease is given."""


@dataclass(frozen=True, slots=True)
class RoleTaken:
    """The listener is in another role now, for `reason`."""

    role: Role
    reason: str


@dataclass(frozen=True, slots=True)
class Disconnected:
    """There is no session with Postgres, for `reason`. All that it announces until the next one is missed."""

    reason: str


@dataclass(frozen=True, slots=True)
class Heard:
    """Postgres announced `changes`."""

    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Fenced:
    """A fence came back after `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Audited:
    """The triggers were looked at."""

    audit: Audit


@dataclass(frozen=True, slots=True)
class Bumped:
    """Redis took a bump, in `seconds`."""

    bump: Bump
    seconds: float


@dataclass(frozen=True, slots=True)
class BumpFailed:
    """Redis did not take a bump, or did not say so in time."""

    reason: str


@dataclass(frozen=True, slots=True)
class LeaseRenewed:
    """Redis took a lease."""

    renewed: Renewed


@dataclass(frozen=True, slots=True)
class LeaseWithheld:
    """No lease was given, or none can be: `obstacle` says which kind of thing is in the way, `reason` what."""

    obstacle: Obstacle
    reason: str


@dataclass(frozen=True, slots=True)
class Ready:
    """A standby found that it could serve at once."""


@dataclass(frozen=True, slots=True)
class Evicted:
    """The session `holder`, which held the lock and gave no lease, was told to end; `problem` if it could not be."""

    holder: int
    problem: str | None


@dataclass(frozen=True, slots=True)
class Swept:
    """A sweep removed `entries` outdated entries of `namespace` in `seconds`; `problem` says why it ended early."""

    namespace: str
    entries: int
    seconds: float
    problem: str | None


Event = (
    RoleTaken
    | Disconnected
    | Heard
    | Fenced
    | Audited
    | Bumped
    | BumpFailed
    | LeaseRenewed
    | LeaseWithheld
    | Ready
    | Evicted
    | Swept
)


class Observer(Protocol):
    """Takes events as they happen, in the process' event loop. It must neither block nor raise."""

    def __call__(self, event: Event, /) -> None:
        """Take an event."""
