"""RESP frames: cut where one ends, however the stream is torn."""

import pytest

from tests.support.resp import Frames, words

WIRE = (
    b"*2\r\n$3\r\nGET\r\n$3\r\na\r\n\r\n",
    b"+OK\r\n",
    b"$-1\r\n",
    b"*-1\r\n",
    b":7\r\n",
    b"-LOADING Redis is loading\r\n",
    b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n*2\r\n:1\r\n$0\r\n\r\n",
)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_frames_are_cut_as_they_were_made(size: int) -> None:
    """Whatever the pieces are that a stream comes in."""
    stream = b"".join(WIRE)
    frames = Frames()
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert tuple(frame for piece in pieces for frame in frames.feed(piece)) == WIRE


def test_the_words_of_a_command() -> None:
    """Bulk strings, and the integers that confirmations of subscriptions have."""
    assert words(WIRE[0]) == [b"GET", b"a\r\n"]
    assert words(b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n") == [b"subscribe", b"c", b"1"]
