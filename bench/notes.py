"""What an API process notes of the changes that it applies: a file in memory, which another process reads meanwhile."""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MOST = 100_000
_RECORD = struct.Struct("=Qdd")


@dataclass(frozen=True, slots=True)
class Note:
    """A generation, when Redis made it (its clock), and when it was applied (the machine's monotonic clock), in s."""

    generation: int
    made_at: float
    applied_at: float


class Notes:
    """At most MOST notes in the file `path`. Taking one is a write to memory, and calls nothing that could wait."""

    def __init__(self, path: Path) -> None:
        """Map `path`, which is made where it is missing."""
        with path.open("a+b") as file:
            file.truncate(MOST * _RECORD.size)
            self._memory = mmap.mmap(file.fileno(), MOST * _RECORD.size)
        self._next = 0

    def take(self, note: Note) -> None:
        """Add a note; one too many is left out."""
        if self._next < MOST:
            _RECORD.pack_into(self._memory, self._next * _RECORD.size, note.generation, note.made_at, note.applied_at)
            self._next += 1

    def new(self) -> Iterator[Note]:
        """Yield what was taken, by another process, since the last call."""
        while self._next < MOST:
            note = Note(*_RECORD.unpack_from(self._memory, self._next * _RECORD.size))
            if not note.applied_at:
                return
            self._next += 1
            yield note
