"""The oracle: which answers were older than the bound allows. Sans-IO; times are seconds on one monotonic clock.

A writer changes rows one at a time and tells of each commit when it is sent (`begins`) and when it has returned
(`commits`). Each answer shows rows in versions. It is *outdated* by the time that had passed, when its request was
sent, since the commit of a newer version had returned; and it is a **violation** if that is more than the bound,
wherever it came from. So is a version that never was, or was not written yet. A version below zero is a row that is
not there.

Nothing is kept of an answer that is right but counts: ten million take no more memory than ten. (`bench.oracle` judges
pages of lists whose rows move, afterwards and with everything in memory.)
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

HITS = ("l1", "l2")
KEPT_VIOLATIONS = 20


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked: a path, the rows that it is about, and which of their versions it shows."""

    path: str
    keys: tuple[str, ...]
    parity: int | None = None
    """Only rows whose version is even (0) or odd (1) are shown; None: all."""

    def shows(self, version: int) -> bool:
        """Tell whether a row is shown when it has this version."""
        return version > 0 and (self.parity is None or version % 2 == self.parity)


class Read(NamedTuple):
    """An answer: who gave it, when its request was sent, when it had come, from which layer, and the versions shown."""

    replica: int
    target: Target
    started: float
    ended: float
    layer: str
    rows: Mapping[str, int]


class Violation(NamedTuple):
    """An answer that breaks the promise: by how many seconds it is outdated (inf: it never was), and of which row."""

    read: Read
    key: str
    outdated: float
    phase: str

    def __str__(self) -> str:
        read = self.read
        shown = read.rows.get(self.key, "nothing")
        age = "that never was" if math.isinf(self.outdated) else f"outdated for {self.outdated:.3f} s"
        when = f"{read.started:.3f} to {read.ended:.3f}"
        return f"{self.phase}: replica {read.replica} {read.target.path} {when} {read.layer}: {self.key}={shown}, {age}"


class RowHistory:
    """One row's versions, in the order of their commits."""

    def __init__(self, version: int) -> None:
        self.newest = version
        self._versions = [version]
        self._begun = [-math.inf]
        self._returned = [-math.inf]
        self._place = {version: 0}

    def begins(self, version: int, at: float) -> None:
        """Take note that a commit is sent. Unless `commits` follows, it may or may not have come to pass."""
        self._place[version] = len(self._versions)
        self._versions.append(version)
        self._begun.append(at)
        self._returned.append(math.inf)

    def commits(self, at: float) -> None:
        """Take note that the commit has returned."""
        self.newest = self._versions[-1]
        self._returned[-1] = at

    def outdated_since(self, version: int, by: float) -> float | None:
        """Return since when `version` has not been the newest (inf: it is); None if it was not yet there at `by`."""
        place = self._place.get(version)
        if place is None or self._begun[place] > by:
            return None
        return self._replaced(place)

    def without_since(self, shows: Callable[[int], bool], by: float) -> float | None:
        """Return since when, as seen at `by`, there has been no version that is not shown; None if there never was."""
        for place in range(len(self._versions) - 1, -1, -1):
            if self._begun[place] <= by and not shows(self._versions[place]):
                return self._replaced(place)
        return None

    def _replaced(self, place: int) -> float:
        later = (self._returned[each] for each in range(place + 1, len(self._returned)))
        return next((at for at in later if at < math.inf), math.inf)


@dataclass(slots=True)
class Staleness:
    """How outdated answers were: how many by how many milliseconds, and the worst, in seconds."""

    worst: float = 0.0
    by_millisecond: Counter[int] = field(default_factory=Counter)

    def add(self, seconds: float, count: int = 1) -> None:
        """Take an answer."""
        self.worst = max(self.worst, seconds)
        self.by_millisecond[math.ceil(seconds * 1000)] += count

    def merge(self, other: "Staleness") -> None:
        """Take another's answers."""
        self.worst = max(self.worst, other.worst)
        self.by_millisecond.update(other.by_millisecond)

    def percentile(self, percent: float) -> float:
        """Return the seconds, rounded up to milliseconds, that so many percent of the answers do not exceed."""
        wanted = math.ceil(self.by_millisecond.total() * percent / 100)
        seen = 0
        for milliseconds, count in sorted(self.by_millisecond.items()):
            seen += count
            if seen >= wanted:
                return milliseconds / 1000
        return 0.0


@dataclass(slots=True)
class Tally:
    """What was answered in one phase; `layers` by replica and layer."""

    reads: int = 0
    violations: int = 0
    layers: Counter[tuple[int, str]] = field(default_factory=Counter)
    staleness: Staleness = field(default_factory=Staleness)

    def hits(self, layer: str) -> int:
        """Return how many answers came from a layer of the cache."""
        return sum(count for (_, each), count in self.layers.items() if each == layer)

    def merge(self, other: "Tally") -> None:
        """Take another's answers."""
        self.reads += other.reads
        self.violations += other.violations
        self.layers.update(other.layers)
        self.staleness.merge(other.staleness)


class Oracle:
    """Judges each answer as it comes. `bound` is in seconds; `versions` has what each row begins with."""

    def __init__(self, bound: float, versions: Mapping[str, int]) -> None:
        self.bound = bound
        self.tallies: dict[str, Tally] = {}
        """By phase."""
        self.violations: list[Violation] = []
        """The first few."""
        self.committed = 0
        self._rows = {key: RowHistory(version) for key, version in versions.items()}

    # -- what was committed

    def begins(self, key: str, version: int, at: float) -> None:
        """Take note that the commit of a row's next version is sent at `at`."""
        self._rows[key].begins(version, at)

    def commits(self, key: str, at: float) -> None:
        """Take note that the commit which began last has returned at `at`."""
        self._rows[key].commits(at)
        self.committed += 1

    def restored(self, key: str, version: int, at: float) -> None:
        """Take note that the database has an older version again: it lost those after it, and says so from `at` on."""
        self._rows[key].begins(version, at)
        self.commits(key, at)

    def newest(self, key: str) -> int:
        """Return a row's newest version whose commit has returned."""
        return self._rows[key].newest

    def shows_newest(self, read: Read) -> bool:
        """Tell whether an answer shows exactly the newest version of each row, as of now."""
        newest = {key: self.newest(key) for key in read.target.keys}
        return read.rows == {key: version for key, version in newest.items() if read.target.shows(version)}

    # -- what was answered

    def outdated(self, read: Read) -> tuple[float, str]:
        """Return for how many seconds an answer was outdated when its request was sent, and the worst row of it."""
        return max((self._outdated(read, key), key) for key in read.target.keys)

    def judge(self, read: Read, phase: str) -> float:
        """Count an answer in `phase`; return for how many seconds it was outdated when its request was sent."""
        tally = self.tallies.setdefault(phase, Tally())
        seconds, key = self.outdated(read)
        tally.reads += 1
        tally.layers[read.replica, read.layer] += 1
        if not math.isinf(seconds):
            tally.staleness.add(seconds)
        if seconds > self.bound:
            tally.violations += 1
            if len(self.violations) < KEPT_VIOLATIONS:
                self.violations.append(Violation(read, key, seconds, phase))
        return seconds

    @property
    def total(self) -> Tally:
        """What was answered in all phases together."""
        total = Tally()
        for tally in self.tallies.values():
            total.merge(tally)
        return total

    def _outdated(self, read: Read, key: str) -> float:
        row, shown = self._rows[key], read.rows.get(key)
        if shown is None:
            since = row.without_since(read.target.shows, read.ended)
        else:
            since = row.outdated_since(shown, read.ended) if read.target.shows(shown) else None
        return math.inf if since is None else max(0.0, read.started - since)
