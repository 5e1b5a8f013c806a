"""What a page's `docker` is while compose.yaml is tried: `python -m tests.compose.as_written compose up …`.

Where the `.env` of the current directory has just been written, it gets the ports and names of the try.
"""

import os
import shlex
import sys
from pathlib import Path

from dotenv import dotenv_values

from tests.compose.docker import Docker
from tests.compose.engine import Engine
from tests.compose.podman import Podman
from tests.compose.saying import TryError

ENGINES: dict[str, type[Engine]] = {engine.__name__: engine for engine in (Docker, Podman)}
MODULE = "tests.compose.as_written"
ENGINE, OURS = "TRY_ENGINE", "TRY_VARIABLES"


def reader(directory: Path, engine: Engine, ours: str) -> dict[str, str]:
    """Return variables for a reader's shell whose `docker` is this; the program is put into the directory.

    `ours` is what `.env` says besides.
    """
    program = directory / "docker"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m {MODULE} "$@"\n')
    program.chmod(0o755)
    return {
        **engine.environment,
        "PATH": f"{directory}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        ENGINE: type(engine).__name__,
        OURS: ours,
    }


def read(path: Path) -> dict[str, str]:
    """Return the variables of a `.env`."""
    return {name: value for name, value in dotenv_values(path, interpolate=False).items() if value is not None}


def main() -> int:
    """Do what a command line says, without the word `docker`; return the exit code."""
    env_file = Path(".env").absolute()
    ours = os.environ[OURS]
    if env_file.exists() and not env_file.read_text().endswith(ours):
        with env_file.open("a") as file:
            file.write(ours)
    engine = ENGINES[os.environ[ENGINE]](env_file, read(env_file) if env_file.exists() else {})
    compose, *words = sys.argv[1:]
    if compose != "compose":
        raise TryError(f"docker {compose}?")
    try:
        said = engine.as_written(words)
    except TryError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(said)
    return 0


if __name__ == "__main__":
    sys.exit(main())
