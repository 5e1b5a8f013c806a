"""What the listener is doing and what is in its way, for those who ask. An observer of its events."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from listener.events import (
    Audited,
    Bumped,
    Disconnected,
    Event,
    LeaseRenewed,
    LeaseWithheld,
    Ready,
    Role,
    RoleTaken,
)
from listener.triggers import Audit


@dataclass(frozen=True, slots=True)
class Report:
    """The answer of `/readyz`."""

    ready: bool
    body: dict[str, Any]


class Status:
    """Keeps what the latest events said. `clock` tells seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.role: Role = "connecting"
        self.generation = 0
        self.audit: Audit | None = None
        self._reason = "starting"
        self._obstacle: LeaseWithheld | None = LeaseWithheld("postgres", "not connected yet")
        self._lease_ends = 0.0
        self._clock = clock

    def __call__(self, event: Event) -> None:
        """Take an event."""
        match event:
            case RoleTaken():
                self.role, self._reason = event.role, event.reason
                self._obstacle = None
            case Disconnected():
                self.role, self._reason = "connecting", event.reason
                self._obstacle = LeaseWithheld("postgres", event.reason)
            case LeaseWithheld():
                self._obstacle = event
            case LeaseRenewed():
                self._obstacle = None
                self._lease_ends = self._clock() + event.renewed.ttl
                self.generation = event.renewed.generation
            case Bumped():
                self.generation = event.bump.generation
            case Audited():
                self.audit = event.audit
            case Ready():
                self._obstacle = None
            case _:
                pass

    @property
    def lease_left(self) -> float:
        """Seconds that are left of the lease that this listener gave."""
        return max(0.0, self._lease_ends - self._clock())

    @property
    def problem(self) -> str | None:
        """What is in the listener's way, in words; None for nothing."""
        return None if self._obstacle is None else f"{self._obstacle.obstacle}: {self._obstacle.reason}"[:2000]

    def report(self) -> Report:
        """Say whether the listener serves, or could; and if not, why not."""
        ready = self._obstacle is None and (self.role == "standby" or self.lease_left > 0)
        body: dict[str, Any] = {"status": "ready" if ready else "unready", "role": self.role, "since": self._reason}
        if self.role == "active":
            body |= {"generation": self.generation, "lease_seconds_left": round(self.lease_left, 3)}
        if self._obstacle is not None:
            body["problem"] = {"kind": self._obstacle.obstacle, "detail": self._obstacle.reason}
        elif not ready:
            body["problem"] = {"kind": "lease", "detail": "no lease has been given yet, or it has run out"}
        return Report(ready, body)
