"""A clean copy of this checkout, as somebody has it who has just cloned it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.compose_file import ROOT

OURS = (
    "VIRTUAL_ENV",
    "PYTHONPATH",
    "MAKEFLAGS",
    "MAKELEVEL",
    "MAKEOVERRIDES",
    "MFLAGS",
    "ARGS",
    "MINUTES",
    "TIMES",
    "WORKERS",
    "COLUMNS",
    "LINES",
)


def clean_copy(into: Path) -> Path:
    """Copy each file that git keeps, as it is now, and nothing else; return the directory.

    The test is skipped where there is no git, or no repository of it, and fails there in continuous integration.
    """
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"not a clone: {listed.stderr}")
    for name in filter(None, listed.stdout.split("\0")):
        copy = into / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy)
    return into


def newcomers_environment(environment: dict[str, str]) -> dict[str, str]:
    """Return an environment without what a run of the tests adds to it, programs in `.venv` included."""
    path = [each for each in environment["PATH"].split(os.pathsep) if not (Path(each).parent / "pyvenv.cfg").exists()]
    kept = {name: value for name, value in environment.items() if name not in OURS}
    return {**kept, "PATH": os.pathsep.join(path), "TERM": "xterm"}
