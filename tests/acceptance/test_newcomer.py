"""The commands as a newcomer meets them: before anything runs, on a narrow terminal, in a pipe.

What the demo does then is in test_demo.py, what `api` and `listener` do in the tests of their processes; a clone just
made is in test_docs_fresh.py.
"""

import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from anomaly_cache.cli import main
from tests.support.processes import clean_environment
from tests.support.terminal import Terminal

NARROW = 40
NOWHERE = {
    "DATABASE_URL": "postgresql://app:hush-postgres@127.0.0.1:1/shop",
    "REDIS_URL": "redis://:hush-redis@127.0.0.1:1/0",
    "API_KEYS": "analyst=hush-hush-hush-hush-1,admin=hush-hush-hush-hush-2",
    "API_PORT": "1",
}
"""Servers that nobody has started yet."""


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("migrate", "DATABASE_URL: cannot connect to Postgres"),
        ("seed", "DATABASE_URL: cannot connect to Postgres"),
        ("invalidate anomalies", "DATABASE_URL: cannot connect to Postgres"),
        ("replicas", "is it where REDIS_URL"),
        ("watch", "is it where REDIS_URL"),
        ("explain limit=1", "Does the API run there?"),
        ("doctor", "user, password or database in DATABASE_URL"),
    ],
)
def test_without_servers_a_command_says_where_it_looked(
    command: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It ends at once with 1; it names the setting, and shows no secret and no traceback."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, command.split(), env=NOWHERE)
    assert (result.exit_code, said in result.output) == (1, True), result.output
    assert isinstance(result.exception, SystemExit)
    assert "hush" not in result.output
    assert command == "doctor" or len(result.output.splitlines()) <= 2


async def on_a_narrow_terminal(directory: Path, *words: str, **settings: str) -> tuple[int, list[str]]:
    """Run a command; return its exit code, and the lines, or states of a line, that the terminal showed."""
    environment = {**clean_environment(), **NOWHERE, **settings, "TERM": "xterm"}
    command = [sys.executable, "-m", "anomaly_cache", *words]
    async with Terminal(command, environment=environment, columns=NARROW, directory=directory) as terminal:
        code = await terminal.ended()
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.said)
    return code, re.split(r"[\r\n]+", plain)


async def test_on_a_narrow_terminal_seed_shows_a_bar(migrated_url: str, tmp_path: Path) -> None:
    """It moves, ends full, and fits; what was added is said behind it."""
    code, shown = await on_a_narrow_terminal(tmp_path, "seed", "--rows", "4000", DATABASE_URL=migrated_url)
    bars = [line for line in shown if "━" in line]
    assert code == 0, shown
    assert max(map(len, bars)) <= NARROW
    assert "4,000 of 4,000" in bars[-1]
    assert shown[-2].startswith("added 4,000 anomalies")


async def test_on_a_narrow_terminal_nothing_of_doctor_is_cut_off(tmp_path: Path) -> None:
    """Its findings wrap, each with what helps."""
    code, shown = await on_a_narrow_terminal(tmp_path, "doctor")
    assert code == 1
    assert max(map(len, shown)) <= NARROW
    assert "user, password or database in DATABASE_URL" in re.sub(r"\s+", " ", " ".join(shown))
