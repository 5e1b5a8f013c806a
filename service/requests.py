"""How many requests were answered, and how long they took, by the template of their route."""

from prometheus_client import Counter, Histogram

from service.durations import Durations

METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"})
OTHER = "other"


class Requests:
    """Counts in `answered`, by route, method and status, and in `seconds`, by route and method."""

    def __init__(self, answered: Counter, seconds: Histogram) -> None:
        self._answered = answered
        self._seconds = seconds
        self._series: dict[tuple[str, str, int], tuple[Counter, Durations]] = {}
        self._durations: dict[tuple[str, str], Durations] = {}

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answered request. `route` is a template, not a path."""
        answered, durations = self._series.get((route, method, status)) or self.series(route, method, status)
        answered.inc()
        durations.add(seconds)

    def series(self, route: str, method: str, status: int) -> tuple[Counter, Durations]:
        """Return what counts requests of this kind, and their time."""
        known = method if method in METHODS else OTHER
        durations = self._durations.get((route, known))
        if durations is None:
            durations = self._durations[route, known] = Durations(self._seconds.labels(route, known))
        series = self._answered.labels(route, known, str(status)), durations
        # Of methods that nobody knows there are too many to remember.
        if known is not OTHER:
            self._series[route, method, status] = series
        return series

    def hand_over(self) -> None:
        """Show what was counted since the last time and is not shown at once."""
        for durations in self._durations.values():
            durations.hand_over()
