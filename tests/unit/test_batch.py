"""Changed rows judged by the batch: never otherwise than one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coherence import batch as batches
from coherence.batch import BATCH_ROWS, Batch
from coherence.keys import Scalar
from coherence.rows import AtLeast, Equals, Page, RowChange, Scope, Verdict

NOON, LATER = "2025-01-01T12:00:00+00:00", "2025-01-01T12:00:01+00:00"
FULL = Page(LATER, LATER, full=True)


def full_of(*changes: RowChange) -> Batch:
    """Return a full batch of these changes, over and over."""
    return Batch([(number, changes[number % len(changes)]) for number in range(BATCH_ROWS)])


def came(**row: Scalar) -> RowChange:
    """Return the change of a row that came."""
    return RowChange(None, row)


def test_a_batch_is_full_at_its_size() -> None:
    """And its latest row is its last."""
    batch = full_of(came(a="x"))
    assert batch.full
    assert batch.latest == BATCH_ROWS - 1
    assert not Batch(batch.rows[1:]).full


def test_what_grows_is_not_summed_up() -> None:
    """A batch with room spares nothing as a whole: the next row may be any."""
    batch = Batch(full_of(came(a="x")).rows[1:])
    assert not batch.spares(Scope((Equals("a", "y"),)), None)
    batch.rows.append((BATCH_ROWS, came(a="y")))
    assert not batch.spares(Scope((Equals("a", "y"),)), None)
    assert batch.spares(Scope((Equals("a", "z"),)), None)


@pytest.mark.parametrize(
    ("changes", "condition", "spared"),
    [
        ([came(a="x"), came(a="y")], Equals("a", "z"), True),
        ([came(a="x"), came(a="y")], Equals("a", "y"), False),
        ([came(a="x"), RowChange({"a": "y"}, {"a": "x"})], Equals("a", "y"), False),
        ([came(a="x"), RowChange({"a": "x"}, {"a": "y"})], Equals("a", "y"), False),
        ([came(a="x"), RowChange({"a": "y"}, None)], Equals("a", "y"), False),
        ([came(a="x"), came(a=None)], Equals("a", "z"), False),
        ([came(a="x"), came(b="x")], Equals("a", "z"), False),
        ([came(a="x"), came(a=1)], Equals("a", "z"), False),
        ([came(a=1), came(a=2)], Equals("a", "1"), False),
        ([came(a="1")], Equals("a", 1), False),
        ([came(a=1), came(a=2)], Equals("a", 3), True),
        ([came(a=1), came(a=2.0)], Equals("a", 2), False),
        ([came(a=0.1), came(a=0.4)], AtLeast("a", 0.5), True),
        ([came(a=0.1), came(a=0.5)], AtLeast("a", 0.5), False),
        ([came(a=0), came(a=0.4)], AtLeast("a", 0.5), True),
        ([came(a=0.1), came(a="NaN")], AtLeast("a", 0.5), False),
        ([came(a="NaN")], AtLeast("a", 0.5), False),
        ([came(a=0.1), came(a=None)], AtLeast("a", 0.5), False),
        ([RowChange({"a": 0.9}, {"a": 0.1})], AtLeast("a", 0.5), False),
    ],
)
def test_one_condition_that_no_row_meets_spares(
    changes: list[RowChange], condition: Equals | AtLeast, spared: bool
) -> None:
    """Neither an old row nor a new one; and each of them tells a value of the condition's kind."""
    assert full_of(*changes).spares(Scope((condition,)), None) is spared
    assert full_of(*changes).spares(Scope((Equals("c", 1), condition), descending="at"), None) is spared


@pytest.mark.parametrize(
    ("changes", "page", "spared"),
    [
        ([came(at=NOON)], FULL, True),
        ([came(at=NOON), came(at=LATER)], FULL, False),
        ([came(at=NOON), RowChange({"at": LATER}, {"at": NOON})], FULL, False),
        ([came(at=NOON), came(at=None)], FULL, False),
        ([came(at=NOON), came(at="infinity")], FULL, False),
        ([came(at="infinity")], FULL, False),
        ([came(at="-infinity")], FULL, False),
        ([came(at=NOON), came(a=1)], FULL, False),
        ([came(at=NOON)], None, False),
        ([came(at=NOON)], Page(LATER, LATER, full=False), False),
        ([came(at=NOON)], Page(None, None, full=False, empty=True), False),
        ([came(at=NOON)], Page("infinity", "infinity", full=True), False),
    ],
)
def test_rows_that_all_lie_beyond_the_page_spare_it(changes: list[RowChange], page: Page | None, spared: bool) -> None:
    """If the page is full, and every row has a place."""
    assert full_of(*changes).spares(Scope((), descending="at"), page) is spared


times = st.sampled_from([NOON, LATER, "2025-01-01T12:00:00.5+00:00", "infinity", None])
few = st.sampled_from([0, 1, 1.0, 0.5, -0.0, "1", "x", "", None, True])
rows = st.dictionaries(st.sampled_from(["a", "b"]), few).flatmap(
    lambda row: st.one_of(st.just(row), times.map(lambda at: {**row, "at": at}))
)
changes = st.builds(RowChange, st.none() | rows, st.none() | rows)
conditions = st.builds(Equals, st.sampled_from(["a", "b"]), few.filter(lambda value: value is not None)) | st.builds(
    AtLeast, st.sampled_from(["a", "b"]), st.sampled_from([0.0, 0.5, 1.0, 2.0])
)
edges = st.sampled_from([NOON, LATER, "infinity", None])


@given(
    st.lists(changes, min_size=3, max_size=3),
    st.builds(Scope, st.lists(conditions, max_size=2).map(tuple), st.sampled_from([None, "at"])),
    st.none() | st.builds(Page, edges, edges, st.booleans()),
)
def test_no_batch_spares_what_one_of_its_rows_affects(three: list[RowChange], scope: Scope, page: Page | None) -> None:
    """What is certain of a batch is certain of each of its rows; one beyond the page need not be known to match."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "BATCH_ROWS", 3)
        batch = Batch(list(enumerate(three)))
        assert batch.full
        if batch.spares(scope, page):
            whole = Scope((), scope.descending)
            affecting = [change for change in three if scope.judge(change, page).affects]
            assert {whole.judge(change, page) for change in affecting} <= {Verdict.BEYOND}
