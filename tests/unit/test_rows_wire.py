"""Changed rows and pages on the wire and back; and what is none of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coherence.rows import Page, RowChange, rows_as_wire, rows_from_wire

EMPTY = Page(None, None, full=False, empty=True)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
columns = st.lists(st.text(max_size=5), min_size=1, max_size=4, unique=True)


@st.composite
def told(draw: st.DrawFn) -> tuple[RowChange, ...]:
    """Changed rows with the same columns."""
    names = draw(columns)
    values = st.fixed_dictionaries(dict.fromkeys(names, scalars))
    change = st.builds(RowChange, st.none(), values) | st.builds(RowChange, values, st.none() | values)
    return tuple(draw(st.lists(change, min_size=1, max_size=4)))


@given(told())
def test_rows_survive_the_wire(changes: tuple[RowChange, ...]) -> None:
    """Each value as it was."""
    assert rows_from_wire(rows_as_wire(changes)) == changes


@pytest.mark.parametrize(
    "wire",
    [
        [],
        [None, None],
        [["a"]],
        [["a"], []],
        [["a"], {}],
        [["a"], [[None, None]]],
        [["a"], [[[1], None], [None, None]]],
        [["a"], [[[1]]]],
        [["a"], [[[1], [1], [1]]]],
        [["a"], [[[1, 2], None]]],
        [["a"], [[[], None]]],
        [["a"], [[[1], [1, 2]]]],
        [["a"], [[{"a": 1}, None]]],
        [["a"], [None]],
        [[1], [[[1], None]]],
        ["a", [[[1], None]]],
        [["a"], [[[1], None]], "more"],
    ],
)
def test_what_is_not_rows_is_not_taken_for_them(wire: list[object]) -> None:
    """One row that cannot be read, and nothing is known one by one."""
    assert rows_from_wire(wire) is None


def test_values_that_do_not_compare_are_as_if_they_were_not_there() -> None:
    """An array, an object, and what is no number."""
    wire = [["a", "b"], [[[["x"], 1], [{"x": 1}, 2]], [None, [float("nan"), 3]]]]
    assert rows_from_wire(wire) == (
        RowChange({"a": None, "b": 1}, {"a": None, "b": 2}),
        RowChange(None, {"a": None, "b": 3}),
    )


@given(st.builds(Page, scalars, scalars, st.booleans()) | st.just(EMPTY))
def test_a_page_survives_the_wire(page: Page) -> None:
    """Or nothing is known of it, where an edge is NULL."""
    expected = page if page.empty or None not in (page.first, page.last) else None
    assert Page.from_wire(page.as_wire()) == expected


@pytest.mark.parametrize(
    "wire", [None, {}, "x", 7, [1, 2], [1, 2, 3], [1, 2, None], [None, 2, True], [[1], 2, True], [1, 2, True, True]]
)
def test_what_is_not_a_page_is_not_taken_for_one(wire: object) -> None:
    """Then nothing is known of it."""
    assert Page.from_wire(wire) is None
