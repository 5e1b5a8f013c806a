"""How one promise, the bound on staleness, is shared out between the lease, the renewals and the polls."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Timing:
    """Durations in seconds, all made from the bound.

    A lease ends `lease` after the moment T0 at which the listener began to prove that it had heard of every earlier
    commit, and no view is valid past the end of a lease. So an answer at time t reflects what was visible before
    t - lease. The lease is a little shorter than the bound: clocks that run at different rates (RedisClock allows
    0.1 %) and Redis' rounding to milliseconds come out of the difference.

    A renewal, a poll and a lost try of each fit into a lease: a fault-free system never runs out of it.
    """

    bound: float
    lease: float
    renew_interval: float
    poll_interval: float

    @classmethod
    def from_bound(cls, bound: float) -> Self:
        """Share out `bound`, the CACHE_MAX_STALENESS_SECONDS setting."""
        return cls(bound=bound, lease=bound * 0.95, renew_interval=bound / 6, poll_interval=bound / 6)
