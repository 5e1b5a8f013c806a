"""Redis' clock, as seen from a process through its own monotonic one. Sans-IO."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

DRIFT = 0.001
"""Most that the two clocks' rates may differ. NTP slews by at most half of this."""

SAME_LEASE = 0.05
"""Ends of leases, in seconds, that lie closer together are one lease's: renewals are further apart."""


Clock = Callable[[], float]
"""A process' own clock, in seconds from an arbitrary start; it never goes back."""


monotonic: Clock = time.monotonic
if hasattr(time, "CLOCK_BOOTTIME"):
    # It goes on while the machine is suspended, as Redis' clock does.
    monotonic = partial(time.clock_gettime, time.CLOCK_BOOTTIME)


@dataclass(slots=True)
class RedisClock:
    """Estimates Redis' time, and notices when it was set back.

    A lease is kept by Redis' clock. If that is set back (or a failover brings another clock), a lease lasts longer
    than it was given for, and a view that trusts it breaks the bound. Each poll brings a reading R of Redis' clock,
    taken between `sent` and `received` on ours, so Redis' time minus ours lies in [R - received, R - sent]. A later
    reading that lies wholly below an earlier one, allowing for drift, shows that the clock was set back.

    Forward jumps end leases early, which is safe. A step back before the first reading cannot be noticed: the lease
    that there is then may be from before it. So only a later one is to be relied on.
    """

    offset: float | None = None
    _least: float = 0.0
    _at: float = 0.0
    _first_ends: float | None = None

    def observe(self, sent: float, received: float, reading: float) -> bool:
        """Take a `reading` of Redis' clock (seconds); return False if it shows that the clock was set back."""
        low, high = reading - received, reading - sent
        allowance = DRIFT * (received - self._at) + 0.001
        steady = self.offset is None or high >= self._least - allowance
        decayed = self._least - DRIFT * (received - self._at)
        self._least = low if self.offset is None or not steady else max(low, decayed)
        self._at = received
        self.offset = (low + high) / 2
        return steady

    def oversaw(self, ends: float) -> bool:
        """Tell whether the lease that ends at `ends` of Redis' clock was given since the first call.

        At that, 0.0 says that there is none.
        """
        if self._first_ends is None:
            self._first_ends = ends
        return abs(ends - self._first_ends) > SAME_LEASE

    def at(self, now: float) -> float:
        """Return Redis' time in seconds at `now` on our monotonic clock, 0.0 before the first reading."""
        return 0.0 if self.offset is None else now + self.offset
