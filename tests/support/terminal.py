"""A program on a terminal of its own, as a person runs it."""

import asyncio
import fcntl
import os
import signal
import struct
import subprocess
import termios
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

from tests.support.waiting import eventually

CTRL_C = b"\x03"


class Terminal:
    """Runs a program whose terminal is `columns` wide; `async with` starts it, and kills it where it still runs."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str],
        columns: int = 80,
        directory: Path | None = None,
    ) -> None:
        self._command = [str(part) for part in command]
        self._environment = {name: value for name, value in environment.items() if name not in {"COLUMNS", "LINES"}}
        self._columns = columns
        self._directory = directory
        self._said = ""

    async def __aenter__(self) -> Self:
        self._ours, self._theirs = os.openpty()
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, self._columns, 0, 0))
        os.set_blocking(self._ours, False)
        # Opened by the first process of a session, the terminal is the one whose keys send it signals.
        self._process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
            ["sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(self._theirs), *self._command],
            cwd=self._directory,
            env=self._environment,
            start_new_session=True,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # a shell or a make has children
        self._process.wait()
        os.close(self._ours)
        os.close(self._theirs)

    @property
    def pid(self) -> int:
        """The program's process id."""
        return self._process.pid

    @property
    def said(self) -> str:
        """All that it has written so far."""
        with suppress(OSError):  # there is no more, or the terminal was hung up
            while read := os.read(self._ours, 65536):
                self._said += read.decode(errors="replace")
        return self._said

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self._ours, keys)

    async def until(self, holds: Callable[[str], bool], within: float) -> str:
        """Return what it has written as soon as this holds of it; fails where it ends before, or time runs out."""

        def look() -> bool:
            ended = self._process.poll() is not None
            found = holds(self.said)
            if ended and not found:
                pytest.fail(f"ended with {self._process.returncode}:\n{self.said[-2000:]}")
            return found

        await eventually(look, within=within)
        return self.said

    async def ended(self, within: float = 30.0) -> int:
        """Return the exit code."""
        async with asyncio.timeout(within):
            while self._process.poll() is None:
                _ = self.said  # a full terminal would hold it up
                await asyncio.sleep(0.01)
        return self._process.returncode
