"""How long a standby watches an active listener give no lease before it takes its place. Sans-IO."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Patience:
    """Measures for how long one and the same holder of the lock has been giving no lease that this listener could give.

    A holder that is stopped, or hangs, or is cut off from Redis keeps its session and so its lock.
    """

    limit: float
    """Seconds without a lease after which the holder has had its chance."""
    _holder: int | None = field(default=None, init=False)
    _since: float = field(default=0.0, init=False)

    def ends(self, now: float, holder: int | None) -> bool:
        """Return whether it has lasted too long, at `now`.

        `holder` is who holds the lock and gives no lease although this listener could; None if that is nobody.
        """
        if holder != self._holder:
            self._holder, self._since = holder, now
        return holder is not None and now - self._since > self.limit
