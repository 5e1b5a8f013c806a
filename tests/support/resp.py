"""Where one RESP2 message ends and the next begins. Sans-IO: a proxy passes the bytes on as they are."""

from collections.abc import Iterator

_LINE_END = b"\r\n"
_ARRAY, _BULK = b"*", b"$"


class Frames:
    """Cuts a stream of bytes into whole messages: commands, answers, pushed messages."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take what was read, and yield each message that is whole now, as it came."""
        self._buffer += data
        while (end := _end(self._buffer, 0)) is not None:
            frame, self._buffer = self._buffer[:end], self._buffer[end:]
            yield frame


def words(frame: bytes) -> list[bytes]:
    """Return the strings of an array of bulk strings, which is what each command of a client is."""
    found: list[bytes] = []
    position = frame.index(_LINE_END) + 2
    while position < len(frame):
        line_end = frame.index(_LINE_END, position)
        length = int(frame[position + 1 : line_end])
        if frame[position : position + 1] != _BULK:
            found.append(frame[position + 1 : line_end])
            position = line_end + 2
            continue
        found.append(frame[line_end + 2 : line_end + 2 + length])
        position = line_end + 2 + length + 2
    return found


def _end(buffer: bytes, start: int) -> int | None:
    """Return where the message that begins at `start` ends, or None if its end has not come yet."""
    line_end = buffer.find(_LINE_END, start)
    if line_end < 0:
        return None
    kind, end = buffer[start : start + 1], line_end + 2
    if kind == _BULK:
        length = int(buffer[start + 1 : line_end])
        end += length + 2 if length >= 0 else 0
        return end if end <= len(buffer) else None
    for _ in range(int(buffer[start + 1 : line_end]) if kind == _ARRAY else 0):
        item_end = _end(buffer, end)
        if item_end is None:
            return None
        end = item_end
    return end
