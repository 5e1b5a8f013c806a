"""Each `make` command of the documentation, run in a clean copy of the checkout: `make docs-test`."""

import asyncio
import os
import re
import shutil
from pathlib import Path

import pytest
from uv import find_uv_bin

from tests.support.checkout import clean_copy, newcomers_environment
from tests.support.compose_file import ROOT
from tests.support.make_targets import ON_A_TERMINAL, PLOTS, TRIES
from tests.support.processes import clean_environment
from tests.support.terminal import Terminal

pytestmark = [pytest.mark.docs, pytest.mark.timeout(600)]

PATIENCE_SECONDS = 300.0
MOST_LINES = 300


@pytest.fixture(scope="module")
def checkout(server_directory: Path) -> Path:
    """A clean copy; it has what mypy found out about the same files before."""
    copy = clean_copy(server_directory / "to-make")
    if (ROOT / ".mypy_cache").exists():
        shutil.copytree(ROOT / ".mypy_cache", copy / ".mypy_cache")
    return copy


@pytest.fixture(scope="module")
def environment(server_directory: Path) -> dict[str, str]:
    """A developer's, with uv; what was made of the documentation here is not used."""
    programs = server_directory / "bin"
    programs.mkdir()
    (programs / "uv").symlink_to(find_uv_bin())
    ours = newcomers_environment(clean_environment())
    return {**ours, "PATH": f"{programs}{os.pathsep}{ours['PATH']}"}


@pytest.mark.parametrize("target", [target for target in TRIES if target not in ON_A_TERMINAL])
async def test_a_target_does_what_it_is_for(target: str, checkout: Path, environment: dict[str, str]) -> None:
    """It ends with 0; without a terminal it says so in plain lines, and not too many."""
    command = ["make", target, *TRIES[target]]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=checkout,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    said = output.decode()
    assert process.returncode == 0, said[-3000:]
    assert not re.search(r"[\r\x1b]", said)
    assert 0 < len(said.splitlines()) < MOST_LINES


@pytest.mark.parametrize("target", ON_A_TERMINAL)
async def test_what_takes_long_shows_how_far_it_is(target: str, checkout: Path, environment: dict[str, str]) -> None:
    """On a terminal there is a bar; at the end a report, and its plot."""
    for plot in PLOTS.values():
        (checkout / plot).unlink(missing_ok=True)
    command = ["make", target, *TRIES[target]]
    async with Terminal(command, environment=environment, columns=120, directory=checkout) as terminal:
        assert await terminal.ended(PATIENCE_SECONDS) == 0, terminal.said[-3000:]
        assert re.search(ON_A_TERMINAL[target], terminal.said), terminal.said[-3000:]
    assert (checkout / PLOTS[target]).read_text().startswith("<svg")
