"""Which rows every cache is sure to know as they are: those that nobody has changed lately. Sans-IO."""

from coherence.clock import Clock

_XIDS = 2**32
"""Transactions are numbered around a circle of this many."""


class Horizon:
    """Remembers up to which transaction all had ended, a while ago.

    A change is judged by what its row was before. A cache that has not heard of an earlier change of that row, no
    older than `bound` seconds, may still have answers made of what the row was before that one.
    """

    def __init__(self, bound: float, clock: Clock) -> None:
        self._bound = bound
        self._clock = clock
        self._settled: int | None = None
        self._seen: tuple[float, int] | None = None

    def settled(self, version: int, horizon: int) -> bool:
        """Tell whether the transaction `version`, which wrote a row, is sure to have ended a bound ago.

        `horizon` is the oldest transaction that had not ended a moment ago. Both are numbers of 32 bits.
        """
        now = self._clock()
        if self._settled is not None and _before(horizon, self._settled):
            # Another server has taken over, and begins with an earlier number.
            self._settled = self._seen = None
        if self._seen is None:
            self._seen = now, horizon
        elif now - self._seen[0] >= self._bound:
            self._settled, self._seen = self._seen[1], (now, horizon)
        return self._settled is not None and _before(version, self._settled)


def _before(one: int, other: int) -> bool:
    return 0 < (other - one) % _XIDS < _XIDS // 2
