"""A clock that a test sets while a server runs by it; the server's monotonic clock is left alone. By libfaketime."""

import os
import shlex
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from anomaly_cache.servers.binaries import find_valkey


class FakeClock:
    """The wall clock of every process that is started through `wrap`. It begins at the true time."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._offset = directory / "clock"
        self.set(0)

    def set(self, seconds: float) -> None:
        """Let the clock be so many seconds off the true time."""
        self._offset.write_text(f"{seconds:+g}\n")

    def wrap(self, binary: Path | None = None) -> Path:
        """Return a program that starts `binary`, a Valkey unless named, by this clock."""
        program = self._directory / "by-fake-clock"
        variables = {
            "LD_PRELOAD": str(_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        }
        exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
        program.write_text(f'#!/bin/sh\n{exports}exec {shlex.quote(str(binary or find_valkey()))} "$@"\n')
        program.chmod(0o755)
        return program


def _library() -> Path:
    """Return libfaketime's library; where it is of no use, the test is skipped, and fails in continuous integration."""
    package = find_spec("libfaketime")
    if package is not None and package.origin is not None:
        found = Path(package.origin).parent / "vendor/libfaketime/src/libfaketime.so.1"
        if found.is_file() and _loads(found):
            return found
    missing = "libfaketime has no library for this machine"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


def _loads(library: Path) -> bool:
    """Tell whether it is for this machine: the loader says so if not, and goes on without."""
    tried = subprocess.run(["/bin/true"], env={"LD_PRELOAD": str(library)}, check=False, capture_output=True, text=True)
    return tried.returncode == 0 and not tried.stderr
