"""Counting hits for next to nothing: plain integers, handed to Prometheus when somebody looks."""

from collections.abc import Iterable

from prometheus_client import Counter

from service.durations import Durations


class Tally:
    """One kind of answer: each adds one to every counter, and its time to the series of `durations`."""

    __slots__ = ("_counters", "add", "durations")

    def __init__(self, counters: Iterable[Counter], durations: Durations) -> None:
        self._counters = tuple(counters)
        self.durations = durations.beside()
        self.add = self.durations.add
        """Count one that took so many seconds."""

    def hand_over(self) -> None:
        """Have the counters show what was counted since the last time."""
        number = self.durations.hand_over()
        for counter in self._counters:
            counter.inc(number)
