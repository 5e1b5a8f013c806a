"""Faults of Redis' clock."""

from dataclasses import dataclass
from typing import ClassVar

from tests.chaos.faults.fault import Fault
from tests.support.fake_clock import FakeClock


@dataclass
class ClockSetBack(Fault):
    """Redis' clock goes back by so many seconds, and forward again in the end."""

    name: ClassVar[str] = "clock set back"
    clock: FakeClock
    seconds: float = 3600.0

    async def start(self) -> None:
        """Set it back."""
        self.clock.set(-self.seconds)

    async def heal(self) -> None:
        """Set it right."""
        self.clock.set(0)
