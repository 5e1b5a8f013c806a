"""Places in a list, as cursors."""

import json
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.place import InvalidCursor, Place, _check

PATH = "/api/v1/anomalies"
PLACE = Place("2025-01-01T12:00:00.5+00:00", "t-1")

places = st.builds(
    Place,
    st.none() | st.datetimes().map(lambda time: time.isoformat().rstrip("0" if time.microsecond else "") + "+00:00"),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
)


@given(places)
def test_a_place_comes_back(place: Place) -> None:
    """Whatever the key holds, in text that a URL takes as it is."""
    cursor = place.as_cursor(PATH)
    assert Place.from_cursor(cursor, PATH) == place
    assert cursor.replace("-", "").replace("_", "").isalnum()
    with pytest.raises(InvalidCursor):
        Place.from_cursor(cursor, PATH + "/other")


@given(st.data())
def test_no_changed_character_goes_unnoticed(data: st.DataObject) -> None:
    """Nor one more, nor one less."""
    cursor = PLACE.as_cursor(PATH)
    index = data.draw(st.integers(0, len(cursor) - 1))
    other = data.draw(st.sampled_from("ABCxyz019-_=+/ ~é\0").filter(lambda one: one != cursor[index]))
    for tampered in (
        cursor[:index] + other + cursor[index + 1 :],
        cursor[:index] + cursor[index + 1 :],
        cursor + other,
    ):
        with pytest.raises(InvalidCursor):
            Place.from_cursor(tampered, PATH)


@given(st.text(max_size=40))
def test_any_other_text_is_none(text: str) -> None:
    """And fails in no other way."""
    with pytest.raises(InvalidCursor):
        Place.from_cursor(text, PATH)


@pytest.mark.parametrize(
    "document",
    [
        ["2025-01-01T12:00:00.50+00:00", "k"],
        ["2025-01-01T12:00:00", "k"],
        ["2025-01-01T12:00:00Z", "k"],
        ["2025-01-01 12:00:00+00:00", "k"],
        ["2025-02-30T12:00:00+00:00", "k"],
        ["2025-01-01T24:00:00+00:00", "k"],
        ["0000-01-01T12:00:00+00:00", "k"],
        ["infinity", "k"],
        [1, "k"],
        [None, 1],
        [None, None],
        [None, "a\0b"],
        [None, "\ud800"],
        [None],
        [None, "k", 1],
        {"a": 1, "b": 2},
        "ab",
        None,
    ],
)
def test_what_is_said_is_checked_too(document: object) -> None:
    """Whoever makes the check himself does not get to Postgres with what it could not read."""
    text = json.dumps(document, separators=(",", ":")).encode()
    with pytest.raises(InvalidCursor):
        Place.from_cursor(urlsafe_b64encode(_check(PATH, text) + text).rstrip(b"=").decode(), PATH)
