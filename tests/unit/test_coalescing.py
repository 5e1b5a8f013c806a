"""Log lines of frequent events."""

from collections.abc import Callable

from coherence.coalescing import MOST_CAUSES, Coalescing, Tally


class Later:
    """Keeps what is to be done later, until the test says that it is later."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []

    def __call__(self, seconds: float, function: Callable[[], None]) -> None:
        """Keep a function."""
        assert seconds == 1.0
        self.due.append(function)

    def pass_by(self) -> None:
        """Let a second pass."""
        due, self.due = self.due, []
        for function in due:
            function()


def written() -> tuple[list[tuple[str, int, int]], Later, Coalescing]:
    """Return the lines to come (subject, times, amount), the clock, and what is tested."""
    lines: list[tuple[str, int, int]] = []
    later = Later()

    def write(subject: str, tally: Tally) -> None:
        lines.append((subject, tally.times, tally.amount))

    return lines, later, Coalescing(write, later)


def test_the_first_is_written_at_once_and_the_next_ones_together() -> None:
    """Under load there is a line a second for each subject, and nothing is lost in the sum."""
    lines, later, coalescing = written()
    for _ in range(3):
        coalescing.add("a", "cause", amount=2)
    coalescing.add("b", "cause")
    assert lines == [("a", 1, 2), ("b", 1, 1)]
    later.pass_by()
    assert lines[2:] == [("a", 2, 4)]
    coalescing.add("a", "cause")
    assert lines[3:] == []
    later.pass_by()
    assert lines[3:] == [("a", 1, 1)]
    later.pass_by()
    coalescing.add("a", "cause")
    assert lines[4:] == [("a", 1, 1)]


def test_a_line_tells_the_causes_the_latest_and_the_worst() -> None:
    """Of what it sums up."""
    tallies: list[Tally] = []
    later = Later()
    coalescing = Coalescing(lambda _, tally: tallies.append(tally), later)
    coalescing.add("a", "first")
    coalescing.add("a", "update", latest=7, seconds=0.3)
    coalescing.add("a", "insert", latest=9, seconds=0.1)
    later.pass_by()
    assert tallies[1] == Tally(times=2, amount=2, causes={"update", "insert"}, latest=9, worst=0.3)


def test_causes_are_bounded() -> None:
    """However many different errors there are."""
    tallies: list[Tally] = []
    coalescing = Coalescing(lambda _, tally: tallies.append(tally), Later())
    for number in range(100):
        coalescing.add("a", f"error {number}")
    coalescing.flush()
    assert len(tallies[1].causes) == MOST_CAUSES
    assert tallies[1].times == 99


def test_the_end_leaves_nothing_unwritten() -> None:
    """`flush` writes what waits, once."""
    lines, later, coalescing = written()
    coalescing.add("a", "cause")
    coalescing.add("a", "cause")
    coalescing.flush()
    later.pass_by()
    assert lines == [("a", 1, 1), ("a", 1, 1)]
