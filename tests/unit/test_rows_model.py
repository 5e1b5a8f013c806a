"""The judgement on changed rows against a model: a list in memory, and a page of it that is kept."""

from collections.abc import Sequence
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from coherence.rows import AtLeast, Equals, Page, Row, RowChange, Scope, Start

CONDITIONS = (Equals("status", "NEW"), AtLeast("score", 0.5))


class Listed:
    """A list of rows by key, and a page of it: at an offset, or behind the place of a time and a key."""

    def __init__(self, rows: Sequence[Row], limit: int, start: int | tuple[str, str]) -> None:
        self.rows = list(rows)
        self._limit = limit
        self._start = start
        behind = None if isinstance(start, int) else Start(start[0])
        self.scope = Scope(CONDITIONS, descending="at", start=behind)

    def shown(self) -> list[Row]:
        """Return the rows of the page."""
        matching = [one for one in self.rows if one["status"] == "NEW" and float(str(one["score"])) >= 0.5]
        matching.sort(key=lambda one: str(one["key"]))
        matching.sort(key=lambda one: str(one["at"]), reverse=True)
        if isinstance(self._start, int):
            return matching[self._start : self._start + self._limit]
        at, key = self._start
        behind = [one for one in matching if str(one["at"]) < at or (one["at"] == at and str(one["key"]) > key)]
        return behind[: self._limit]

    def page(self) -> Page:
        """Return its place."""
        rows = self.shown()
        if not rows:
            return Page(None, None, full=False, empty=True)
        return Page(rows[0]["at"], rows[-1]["at"], full=len(rows) == self._limit)


times = st.integers(0, 6).map("2025-01-01T12:00:0{}+00:00".format)
keys = st.integers(0, 99).map(str)
rows_of_few_values = st.fixed_dictionaries(
    {
        "key": keys,
        "at": times,
        "status": st.sampled_from(["NEW", "NEW", "NEW", "OLD"]),
        "score": st.sampled_from([0.4, 0.5, 0.6]),
    }
)


@settings(max_examples=500)
@given(
    rows=st.lists(rows_of_few_values, max_size=12),
    limit=st.integers(1, 4),
    start=st.integers(0, 8) | st.tuples(times, keys),
    statements=st.lists(
        st.tuples(st.lists(st.integers(0, 20), max_size=3, unique=True), st.lists(rows_of_few_values, max_size=3)),
        min_size=1,
        max_size=4,
    ),
    order=st.randoms(use_true_random=False),
)
def test_what_is_spared_is_the_same(
    rows: list[Row],
    limit: int,
    start: int | tuple[str, str],
    statements: list[tuple[list[int], list[Row]]],
    order: Random,
) -> None:
    """Whatever rows come, go and change, and whichever are told as a pair: a page that is spared is as it was."""
    listed = Listed(rows, limit, start)
    shown, page = listed.shown(), listed.page()
    affected = False
    for gone, news in statements:
        olds = [listed.rows[index] for index in gone if index < len(listed.rows)]
        listed.rows = [one for index, one in enumerate(listed.rows) if index not in gone] + news
        pairs: list[Row | None] = [*olds, *[None] * (len(news) - len(olds))]
        others: list[Row | None] = [*news, *[None] * (len(olds) - len(news))]
        order.shuffle(others)
        told = [RowChange(old, new) for old, new in zip(pairs, others, strict=True)]
        affected |= any(listed.scope.judge(change, page).affects for change in told)
        assert affected or listed.shown() == shown
