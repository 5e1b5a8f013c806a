"""The judgement on changed rows against a model: a list in memory, and a page of it that is kept."""

from collections.abc import Sequence
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from coherence.rows import AtLeast, Equals, Page, Row, RowChange, Scope

SCOPE = Scope((Equals("status", "NEW"), AtLeast("score", 0.5)), descending="at")


class Listed:
    """A list of rows by key, and a page of it."""

    def __init__(self, rows: Sequence[Row], limit: int, offset: int) -> None:
        self.rows = list(rows)
        self._limit = limit
        self._offset = offset

    def shown(self) -> list[Row]:
        """Return the rows of the page."""
        matching = [one for one in self.rows if one["status"] == "NEW" and float(str(one["score"])) >= 0.5]
        matching.sort(key=lambda one: str(one["key"]))
        matching.sort(key=lambda one: str(one["at"]), reverse=True)
        return matching[self._offset : self._offset + self._limit]

    def page(self) -> Page:
        """Return its place."""
        rows = self.shown()
        if not rows:
            return Page(None, None, full=False, empty=True)
        return Page(rows[0]["at"], rows[-1]["at"], full=len(rows) == self._limit)


rows_of_few_values = st.fixed_dictionaries(
    {
        "key": st.integers(0, 99).map(str),
        "at": st.integers(0, 6).map("2025-01-01T12:00:0{}+00:00".format),
        "status": st.sampled_from(["NEW", "NEW", "NEW", "OLD"]),
        "score": st.sampled_from([0.4, 0.5, 0.6]),
    }
)


@settings(max_examples=500)
@given(
    rows=st.lists(rows_of_few_values, max_size=12),
    limit=st.integers(1, 4),
    offset=st.integers(0, 8),
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
    offset: int,
    statements: list[tuple[list[int], list[Row]]],
    order: Random,
) -> None:
    """Whatever rows come, go and change, and whichever are told as a pair: a page that is spared is as it was."""
    listed = Listed(rows, limit, offset)
    shown, page = listed.shown(), listed.page()
    affected = False
    for gone, news in statements:
        olds = [listed.rows[index] for index in gone if index < len(listed.rows)]
        listed.rows = [one for index, one in enumerate(listed.rows) if index not in gone] + news
        pairs: list[Row | None] = [*olds, *[None] * (len(news) - len(olds))]
        others: list[Row | None] = [*news, *[None] * (len(olds) - len(news))]
        order.shuffle(others)
        affected |= any(SCOPE.judge(RowChange(old, new), page).affects for old, new in zip(pairs, others, strict=True))
        assert affected or listed.shown() == shown
