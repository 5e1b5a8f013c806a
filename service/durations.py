"""How long requests take, counted for next to nothing: plain integers, handed to Prometheus when somebody looks."""

from bisect import bisect_left

from prometheus_client import Histogram

BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds of the buckets, in seconds: from a hit in this process' memory to an answer given up."""


class Durations:
    """One series of a histogram whose buckets are BOUNDS."""

    __slots__ = ("_buckets", "_seconds", "_series")

    def __init__(self, series: Histogram) -> None:
        self._series = series
        self._seconds = 0.0
        self._buckets = [0] * (len(BOUNDS) + 1)

    def add(self, seconds: float) -> None:
        """Count one that took `seconds`: a fifth of what the histogram's own `observe` costs."""
        self._buckets[bisect_left(BOUNDS, seconds)] += 1
        self._seconds += seconds

    def beside(self) -> "Durations":
        """Return another one of the same series, which counts for itself."""
        return Durations(self._series)

    def hand_over(self) -> int:
        """Have the series show what was counted since the last time; return how many that are."""
        counted, self._buckets = self._buckets, [0] * len(self._buckets)
        seconds, self._seconds = self._seconds, 0.0
        # The library has no public way to add many observations at once.
        for bucket, count in zip(self._series._buckets, counted, strict=True):  # noqa: SLF001
            if count:
                bucket.inc(count)
        self._series._sum.inc(seconds)  # noqa: SLF001
        return sum(counted)
