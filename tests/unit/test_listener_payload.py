"""What a notification's payload is taken to say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coherence.changes import Change
from listener.payload import OPERATIONS, Fence, parse

EVERYTHING = Change(None, "unparsable")


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_change(operation: str) -> None:
    """A namespace and an operation are a change of that namespace, caused by it."""
    assert parse(f'{{"ns": "anomalies", "op": "{operation}"}}') == Change("anomalies", operation)


def test_everything() -> None:
    """No namespace means all of them."""
    assert parse('{"ns": null, "op": "invalidate"}') == Change(None, "invalidate")


def test_unknown_operation() -> None:
    """An operation of a later version is a change all the same; its name is not let into metrics."""
    assert parse('{"ns": "anomalies", "op": "merge-and-more"}') == Change("anomalies", "unknown")


def test_more_than_is_known() -> None:
    """What a later version adds does no harm."""
    assert parse('{"ns": "anomalies", "op": "update", "rows": []}') == Change("anomalies", "update")


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "hello",
        "{}",
        "[]",
        "null",
        '{"ns": 1, "op": "update"}',
        '{"ns": "anomalies"}',
        '{"op": "update"}',
        '{"ns": "anomalies", "op": null}',
        '{"ns": "", "op": "update"}',
        '{"ns": "an:omalies", "op": "update"}',
        '{"ns": "anomalies\\n", "op": "update"}',
        '{"ns": "' + "a" * 64 + '", "op": "update"}',
        '{"fence": 1}',
        "[" * 100_000,
    ],
)
def test_nonsense(payload: str) -> None:
    """What cannot be understood means that everything changed."""
    assert parse(payload) == EVERYTHING


@given(st.text())
def test_any_text(payload: str) -> None:
    """No payload raises, and none is ignored."""
    assert isinstance(parse(payload), Change | Fence)


def test_fence_comes_back() -> None:
    """A fence is what its payload says, and no change."""
    fence = Fence('one"\\two')
    assert parse(fence.as_payload()) == fence
