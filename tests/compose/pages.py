"""The documentation's `docker compose`, done as it is written."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

from tests.compose.as_written import reader
from tests.compose.engine import BUILD_SECONDS, Engine
from tests.compose.saying import TryError, say
from tests.support.compose_file import ROOT
from tests.support.documents import DOCS, read
from tests.support.page_shell import PageShell, linked_checkout
from tests.support.steps import Step, steps_of

README, OPERATIONS = ROOT / "README.md", DOCS / "operations.md"
COMPOSE = "docker compose "
KEYS = Step(
    "", "eval $(sed -n 's/^API_KEYS=analyst=\\(.*\\),admin=\\(.*\\)/export KEY=\\1 ADMIN=\\2/p' .env); test $ADMIN\n"
)
DAMAGE = Step(
    "",
    """
ask() { curl -sfi -H "X-API-Key: $KEY" "localhost:8000/api/v1/anomalies?limit=$1"; }
page=3
until ask $page | grep "; stored;"; do page=$((page + 1)); sleep 0.2; done
until keys=$(docker compose exec redis redis-cli --scan --pattern 'anomalies:*' | tr -d '\\r') && test "$keys"; do
    sleep 0.2
done
for key in $keys; do
    docker compose exec redis redis-cli SETRANGE "$key" 100 damage
done
docker compose restart api # who starts has nothing in its own memory, and asks Redis
until ask $page | grep "; hit;"; do sleep 0.2; done
""",
)
"""What a runbook looks for: an entry that was damaged, and met."""


def steps(page: Path) -> list[Step]:
    """Return what a page does with containers, its blocks first."""
    document = read(page)
    blocks = [step for step in steps_of(document) if COMPOSE in step.script]
    return [*blocks, *(Step(f"{page.name}, in a line", code) for code in document.code if code.startswith(COMPOSE))]


def start_as_readme_says(engine: Engine, directory: Path, ours: str) -> Path:
    """Do what README says; return the `.env` that is then there. Raises TryError."""
    found = steps(README)
    _do(found, engine, directory, ours)
    say(f"ok   README: {len(found)} block")
    return directory / "checkout" / ".env"


def operate(engine: Engine, directory: Path, ours: str) -> None:
    """Do all that the operations page says of containers, in its order, from its first start on. Raises TryError."""
    first, *others = steps(OPERATIONS)
    found: list[Step] = [first, KEYS]
    for step in others:
        found += [DAMAGE, step] if "was no use" in step.script else [step]
    _do(found, engine, directory, ours)
    say(f"ok   operations: {len(others) + 1} blocks and commands as they are written")


def _do(found: Sequence[Step], engine: Engine, directory: Path, ours: str) -> None:
    directory.mkdir()
    variables = reader(directory, engine, ours)
    port = re.findall(r"^API_PUBLISHED_PORT=(\d+)", ours, re.MULTILINE)[-1]

    async def do() -> None:
        checkout = linked_checkout(directory / "checkout")
        async with PageShell(checkout, variables, {"8000": port}, real="docker", patience=BUILD_SECONDS) as shell:
            for step in found:
                await shell.do(step)

    try:
        asyncio.run(do())
    except AssertionError as error:
        raise TryError(str(error)) from error
