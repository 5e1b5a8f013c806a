"""Counting hits for next to nothing: a plain integer, handed to Prometheus when somebody looks."""

from collections.abc import Iterable

from prometheus_client import Counter

from service.durations import Durations


class Tally:
    """One kind of answer: each adds one to every counter, and its time to the durations."""

    __slots__ = ("_counters", "_durations", "_number")

    def __init__(self, counters: Iterable[Counter], durations: Durations) -> None:
        self._counters = tuple(counters)
        self._durations = durations
        self._number = 0

    def add(self, seconds: float) -> None:
        """Count one that took `seconds`."""
        self._number += 1
        self._durations.add(seconds)

    def hand_over(self) -> None:
        """Have the counters show what was counted since the last time."""
        number, self._number = self._number, 0
        for counter in self._counters:
            counter.inc(number)
