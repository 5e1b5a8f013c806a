"""The kept changes: which of them affect an answer, what is forgotten, and in what order they count."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coherence import batch
from coherence.batch import BATCH_ROWS
from coherence.history import MOST_KEYS, MOST_NAMESPACES, Affecting, History
from coherence.query import Query
from coherence.rows import Equals, Page, RowChange, Scope, Verdict

SPACE, OTHER = "anomalies", "transactions"
PAGE = Page("2025-01-01T12:00:01+00:00", "2025-01-01T12:00:01+00:00", full=True)


def asking(value: str, namespace: str = SPACE) -> Query:
    """Return a query of the rows with a value."""
    return Query(namespace, {"a": value}, Scope((Equals("a", value),)))


X, Y = asking("x"), asking("y")


def came(*values: str) -> tuple[RowChange, ...]:
    """Return the changes of rows that came, with these values."""
    return tuple(RowChange(None, {"a": value}) for value in values)


def generation_of(affecting: Affecting | None) -> int | None:
    """Return when the change was made that affects an answer."""
    return None if affecting is None else affecting.generation


def test_a_row_affects_the_queries_that_it_matches() -> None:
    """From its generation on: an answer stamped with it knows of it."""
    history = History()
    history.change_rows(SPACE, 11, came("x"))
    assert generation_of(history.affecting(X, None, 10)) == 11
    assert history.affecting(X, None, 11) is None
    assert history.affecting(Y, None, 10) is None
    assert history.affecting(asking("x", OTHER), None, 10) is None


def test_the_latest_change_is_named() -> None:
    """With its row, and the verdict on it."""
    history = History()
    for generation in (11, 12, 13):
        history.change_rows(SPACE, generation, came("y", "x"))
    history.change_rows(SPACE, 14, came("y"))
    assert history.affecting(X, None, 10) == Affecting(13, Verdict.ROW.value, came("x")[0])


def test_each_row_of_a_generation_counts() -> None:
    """Also where it came in several parts."""
    history = History()
    history.change_rows(SPACE, 11, came("y", "z"))
    history.change_rows(SPACE, 11, came("x"))
    history.change_rows(SPACE, 11, came("z"))
    assert generation_of(history.affecting(X, None, 10)) == 11
    assert history.affecting(X, None, 11) is None


def test_no_rows_are_no_change_of_any() -> None:
    """But something was said of the namespace."""
    history = History()
    history.change_rows(SPACE, 11, ())
    assert history.affecting(X, None, 10) is None
    assert not history.unchanged(SPACE, 10)
    assert history.unchanged(SPACE, 11)


def test_a_query_without_a_scope_is_affected_by_any_change() -> None:
    """Of its namespace, that is."""
    history = History()
    bare = Query(SPACE, {"a": "x"})
    history.change_rows(OTHER, 11, came("x"))
    assert history.affecting(bare, None, 10) is None
    history.change_rows(SPACE, 12, came("y"))
    assert generation_of(history.affecting(bare, None, 11)) == 12
    assert history.affecting(bare, None, 12) is None


def test_a_wholesale_change_affects_every_query_of_its_namespace() -> None:
    """Whatever rows changed before or after it."""
    history = History()
    history.change_rows(SPACE, 11, came("y"))
    history.change_namespace(SPACE, 12)
    history.change_rows(SPACE, 13, came("y"))
    assert generation_of(history.affecting(X, PAGE, 11)) == 12
    assert history.affecting(X, PAGE, 12) is None
    assert generation_of(history.affecting(Y, PAGE, 12)) == 13
    assert history.affecting(asking("x", OTHER), PAGE, 10) is None


def test_rows_and_more_than_rows_in_one_generation() -> None:
    """The one does not hide the other, in either order."""
    for rows_first in (True, False):
        history = History()
        if rows_first:
            history.change_rows(SPACE, 11, came("y"))
        history.change_namespace(SPACE, 11)
        if not rows_first:
            history.change_rows(SPACE, 11, came("y"))
        assert generation_of(history.affecting(X, PAGE, 10)) == 11
        assert history.affecting(X, PAGE, 11) is None


def test_everything_affects_every_query() -> None:
    """Also of namespaces that nothing was heard of; and what came before needs not be kept."""
    history = History()
    history.change_rows(SPACE, 11, came("x"))
    history.change_everything(12)
    history.change_rows(SPACE, 12, came("y"))
    for query in (X, asking("x", OTHER), asking("x", "unheard-of")):
        assert generation_of(history.affecting(query, PAGE, 11)) == 12
        assert not history.unchanged(query.namespace, 11)
        assert history.affecting(query, PAGE, 12) is None
    assert history.rows_kept == 1


def test_unchanged() -> None:
    """Nothing at all was heard of a namespace since a generation."""
    history = History()
    assert history.unchanged(SPACE, 0)
    history.change_rows(SPACE, 11, came("x"))
    history.change_namespace(OTHER, 12)
    assert [history.unchanged(SPACE, since) for since in (10, 11)] == [False, True]
    assert [history.unchanged(OTHER, since) for since in (11, 12)] == [False, True]
    assert history.unchanged("unheard-of", 0)


def test_the_latest_change_that_affects_a_query() -> None:
    """Of rows and of more than rows, whichever came last; None where nothing is known."""
    history = History()
    assert history.latest(X, None) is None
    history.change_everything(10)
    assert generation_of(history.latest(X, None)) == 10
    history.change_rows(SPACE, 11, came("x"))
    history.change_rows(SPACE, 12, came("y"))
    assert generation_of(history.latest(X, None)) == 11
    assert generation_of(history.latest(asking("x", OTHER), None)) == 10
    history.change_namespace(SPACE, 13)
    assert generation_of(history.latest(X, None)) == 13


# -- what is forgotten


@pytest.mark.parametrize("most_rows", [0, 1, BATCH_ROWS, BATCH_ROWS + 1, 3 * BATCH_ROWS])
def test_no_more_rows_are_kept_than_allowed(most_rows: int) -> None:
    """However they come; and each is kept or forgotten."""
    history = History(most_rows)
    for generation in range(1, 200):
        history.change_rows((SPACE, OTHER)[generation % 2], generation, came(*"xy" * (generation % 40)))
        assert history.rows_kept <= most_rows
    assert history.rows_kept + history.forgotten == sum(2 * (generation % 40) for generation in range(1, 200))


def test_what_is_forgotten_counts_as_all_changed() -> None:
    """Older answers of that namespace are affected, whatever was forgotten; those of the latest of it are not."""
    history = History(2 * BATCH_ROWS)
    for generation in range(1, 3 * BATCH_ROWS + 1):
        history.change_rows(SPACE, generation, came("y"))
    assert history.forgotten == BATCH_ROWS
    assert generation_of(history.affecting(X, None, BATCH_ROWS - 1)) == BATCH_ROWS
    assert history.affecting(X, None, BATCH_ROWS) is None
    assert generation_of(history.affecting(Y, None, BATCH_ROWS)) == 3 * BATCH_ROWS


def test_a_generation_may_be_forgotten_in_part() -> None:
    """The rows of it that are kept do not stand for it all."""
    history = History(BATCH_ROWS)
    history.change_rows(SPACE, 11, came(*["x"] * BATCH_ROWS, "y"))
    assert history.rows_kept == 1
    assert generation_of(history.affecting(X, None, 10)) == 11
    assert history.affecting(X, None, 11) is None


def test_a_busy_namespace_makes_quiet_ones_forget() -> None:
    """The oldest are forgotten first, whosever they are; then that namespace alone counts as changed."""
    history = History(2 * BATCH_ROWS)
    history.change_rows(OTHER, 1, came("y"))
    for generation in range(2, 2 * BATCH_ROWS + 2):
        history.change_rows(SPACE, generation, came("y"))
    assert generation_of(history.affecting(asking("x", OTHER), None, 0)) == 1
    assert history.affecting(asking("x", OTHER), None, 1) is None
    assert history.affecting(X, None, 1) is None


def test_more_namespaces_than_can_be_told_apart() -> None:
    """Everything counts as changed; and it goes on from there."""
    history = History()
    for number in range(MOST_NAMESPACES):
        history.change_rows(f"n{number}", 11, came("y"))
    history.change_rows("one-more", 12, came("y"))
    assert generation_of(history.affecting(X, None, 11)) == 12
    assert history.rows_kept == 0
    history.change_rows("one-more", 13, came("y"))
    assert history.affecting(asking("x", "one-more"), None, 12) is None
    assert generation_of(history.affecting(asking("y", "one-more"), None, 12)) == 13


def test_judged_explains_what_affecting_decides() -> None:
    """Each changed row since a generation, the latest first."""
    history = History()
    history.change_rows(SPACE, 11, came("x"))
    history.change_rows(SPACE, 12, came("y", "x"))
    assert [(generation, verdict) for generation, _, verdict in history.judged(X, None, 11)] == [
        (12, Verdict.ROW),
        (12, Verdict.NO_MATCH),
    ]
    assert len(list(history.judged(X, None, 10))) == 3
    assert [verdict for _, _, verdict in history.judged(Query(SPACE), None, 11)] == [Verdict.UNKNOWN] * 2
    assert list(history.judged(asking("x", "unheard-of"), None, 0)) == []


# -- against a list of all changes

values = st.none() | st.lists(st.sampled_from("xyz"), max_size=4)


@given(
    events=st.lists(
        st.tuples(
            st.sampled_from([SPACE, SPACE, OTHER, None]),
            st.none() | st.lists(st.sampled_from("xyz"), max_size=4),
            st.booleans(),
        ),
        max_size=30,
    ),
    most_rows=st.sampled_from([0, 3, 8, 1000]),
    since=st.integers(0, 30),
)
def test_nothing_that_affects_is_overlooked(
    events: Sequence[tuple[str | None, list[str] | None, bool]], most_rows: int, since: int
) -> None:
    """Whatever came, in whatever order, and however little is kept; what is kept spares what it can."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "BATCH_ROWS", 3)
        history = History(most_rows)
        generation = 0
        latest: dict[str, int] = {}
        for namespace, rows, next_generation in events:
            generation += next_generation or not generation
            if namespace is None:
                history.change_everything(generation)
            elif rows is None:
                history.change_namespace(namespace, generation)
            else:
                history.change_rows(namespace, generation, came(*rows))
            for query in (X, Y, asking("x", OTHER)):
                matches = rows is None or query.parameters["a"] in rows
                if namespace is None or (namespace == query.namespace and matches):
                    latest[query.key] = generation
        for query in (X, Y, asking("x", OTHER)):
            expected = latest.get(query.key, 0) > since
            found = history.affecting(query, None, since)
            assert found is not None or not expected
            if found is not None:
                assert since < found.generation <= generation
            if most_rows == 1000:
                assert (found is not None) == expected
            if history.unchanged(query.namespace, since):
                assert found is None


def test_a_purged_key_affects_the_answer_under_it_alone() -> None:
    """From its generation on, beside the changes of rows; others of the namespace are spared."""
    history = History()
    history.change_key(SPACE, 11, X.key)
    assert generation_of(history.affecting(X, PAGE, 10)) == 11
    assert history.affecting(X, PAGE, 11) is None
    assert history.affecting(Y, PAGE, 10) is None
    assert not history.unchanged(SPACE, 10)
    assert history.unchanged(OTHER, 10)
    history.change_rows(SPACE, 12, came("x"))
    assert generation_of(history.affecting(X, PAGE, 11)) == 12


def test_too_many_purged_keys_are_the_whole_namespace() -> None:
    """What is remembered is bounded, and forgetting errs on the safe side."""
    history = History()
    for number in range(MOST_KEYS + 1):
        history.change_key(SPACE, 11 + number, f"{SPACE}:{number}")
    assert generation_of(history.affecting(Y, PAGE, 10)) == 11 + MOST_KEYS
    assert history.affecting(Y, PAGE, 11 + MOST_KEYS) is None
