"""What changed, on the wire and back."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from coherence.changes import (
    CAUSE_MAX_LENGTH,
    GENERATION_LIMIT,
    Acknowledgement,
    Bump,
    Change,
    MalformedMessage,
    merge,
    parse_generation,
)

WIRE = {
    "previous": 10,
    "generation": 11,
    "changes": [["anomalies", "update", 3], [None, "resync", 0]],
    "made_at_us": 1_700_000_000_000_000,
    "database": 2,
    "acknowledge": True,
}

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def wire(**fields: object) -> bytes:
    """Return a message with some fields replaced."""
    return json.dumps({**WIRE, **fields}).encode()


def test_a_bump_is_read_as_the_lua_functions_write_it() -> None:
    """Each field lands where it belongs; microseconds become seconds."""
    assert Bump.from_wire(wire()) == Bump(
        10,
        11,
        (Change("anomalies", "update", 3), Change(None, "resync", 0)),
        1_700_000_000.0,
        database=2,
        acknowledge=True,
    )


def test_later_versions_may_say_more() -> None:
    """Fields that are not known yet are passed over, in the message and in a change."""
    later = wire(trace="abc", changes=[["anomalies", "update", 1, {"old": 1}]])
    assert Bump.from_wire(later).changes == (Change("anomalies", "update", 1),)


def test_a_trace_context_comes_along() -> None:
    """A bump says in which trace it was made, where it was made in one."""
    assert Bump.from_wire(wire(trace=TRACE)).trace == TRACE
    assert Bump.from_wire(wire()).trace == ""


@given(json_values)
@example(TRACE + "\n")
@example(TRACE.upper())
@example("01" + TRACE[2:])
@example(TRACE.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32))
@example(TRACE.replace("b7ad6b7169203331", "0" * 16))
@example(TRACE * 1000)
def test_what_is_no_trace_context_is_none(value: object) -> None:
    """Whatever stands in its place, the change is applied, and nothing of it is handed on."""
    bump = Bump.from_wire(wire(trace=value))
    assert bump.trace == ""
    assert bump.changes


@pytest.mark.parametrize(
    "fields",
    [
        {"previous": -1},
        {"previous": 11},
        {"previous": "10"},
        {"generation": GENERATION_LIMIT},
        {"generation": 11.0},
        {"generation": None},
        {"changes": {}},
        {"changes": [[]]},
        {"changes": [["anomalies", "update"]]},
        {"changes": [["anomalies", "update", -1]]},
        {"changes": [["anomalies", "update", 10**400]]},
        {"changes": [["anomalies", "u" * (CAUSE_MAX_LENGTH + 1), 1]]},
        {"changes": [[7, "update", 1]]},
        {"changes": [["anomalies", None, 1]]},
        {"changes": ["abc"]},
        {"made_at_us": "now"},
        {"made_at_us": float("nan")},
        {"made_at_us": 10**400},
        {"made_at_us": -(10**400)},
        {"database": None},
        {"acknowledge": 1},
    ],
    ids=lambda fields: str(fields)[:50],
)
def test_a_message_that_makes_no_sense_is_malformed(fields: dict[str, Any]) -> None:
    """Wrong types, impossible generations and numbers beyond all bounds are refused, each in the same way."""
    with pytest.raises(MalformedMessage):
        Bump.from_wire(wire(**fields))


@pytest.mark.parametrize(
    "bytes_",
    [b"", b"{", b"null", b"[]", b"\xff\xfe", b"[" * 100_000, b"1" * 5000, b'{"previous": 1}', b"\x00"],
    ids=lambda value: repr(value[:12]),
)
def test_bytes_that_are_no_message_are_malformed(bytes_: bytes) -> None:
    """No JSON, other JSON and JSON without end are all refused."""
    with pytest.raises(MalformedMessage):
        Bump.from_wire(bytes_)
    with pytest.raises(MalformedMessage):
        Acknowledgement.from_wire(bytes_)


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_whatever_comes_is_read_or_malformed(bytes_: bytes) -> None:
    """No bytes make the parsers fail in another way."""
    for parse in (Bump.from_wire, Acknowledgement.from_wire):
        try:
            parse(bytes_)
        except MalformedMessage:
            continue


@given(st.dictionaries(st.sampled_from(sorted(WIRE)), json_values))
def test_whatever_fields_come_are_read_or_malformed(fields: dict[str, Any]) -> None:
    """A message of the right shape with anything in its fields is either read or refused."""
    try:
        bump = Bump.from_wire(wire(**fields))
    except MalformedMessage:
        return
    assert 0 <= bump.previous < bump.generation < GENERATION_LIMIT


@given(
    st.none() | st.text(),
    st.text(max_size=CAUSE_MAX_LENGTH),
    st.integers(min_value=0, max_value=GENERATION_LIMIT - 1),
)
def test_a_change_survives_the_wire(namespace: str | None, cause: str, notifications: int) -> None:
    """What is written is read back."""
    change = Change(namespace, cause, notifications)
    assert Change.from_wire(json.loads(json.dumps(change.as_wire()))) == change


def test_one_answer_can_be_outdated_by_its_key() -> None:
    """The key survives the wire, and is kept apart when changes are summed up; an endless one is no key of ours."""
    purges = [Change("anomalies", "purge", 0, key=key) for key in ("anomalies:a", "anomalies:b")]
    assert [Change.from_wire(json.loads(json.dumps(change.as_wire()))) for change in purges] == purges
    assert merge([*purges, purges[0]]) == tuple(purges)
    assert Change.from_wire(["anomalies", "purge", 0, "k" * 1000]) == Change("anomalies", "purge", 0)


@given(st.integers(min_value=1, max_value=GENERATION_LIMIT - 1), st.text())
def test_an_acknowledgement_survives_the_wire(generation: int, process: str) -> None:
    """What is written is read back."""
    said = Acknowledgement(generation, process)
    assert Acknowledgement.from_wire(said.as_wire()) == said


def test_changes_of_one_kind_are_summed_up() -> None:
    """Same namespace and cause make one change with the notifications of all; the order is kept."""
    assert merge(
        [
            Change("anomalies", "update", 2),
            Change(None, "update", 1),
            Change("anomalies", "insert", 1),
            Change("anomalies", "update", 3),
        ]
    ) == (Change("anomalies", "update", 5), Change(None, "update", 1), Change("anomalies", "insert", 1))
    assert merge([]) == ()


@pytest.mark.parametrize(
    ("text", "generation"),
    [
        (b"1", 1),
        (b"1700000000000000", 1_700_000_000_000_000),
        (str(GENERATION_LIMIT - 1).encode(), GENERATION_LIMIT - 1),
        (str(GENERATION_LIMIT).encode(), None),
        (b"0", None),
        (b"", None),
        (None, None),
        (b"-1", None),
        (b"+1", None),
        (b" 1", None),
        (b"1.0", None),
        (b"1e3", None),
        (b"9" * 5000, None),
        ("²".encode(), None),
        (b"garbage", None),
    ],
)
def test_only_a_generation_is_read_as_one(text: bytes | None, generation: int | None) -> None:
    """Digits alone, above zero and below the limit of what Lua counts exactly."""
    assert parse_generation(text) == generation
