"""What a reader does with a page: its blocks of code as scripts for one shell, each beside the answer that is shown."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import promql_parser
import yaml

from tests.support.compose_file import ROOT
from tests.support.documents import Block, Document
from tests.support.env_example import shown_variables

ELSEWHERE = {
    "CONTRIBUTING.md#releasing": "acceptance/test_release.py::test_the_demo_runs_from_the_wheel",
    "docs/new-endpoint.md#a-new-endpoint-in-this-api": (
        "acceptance/test_docs_new_endpoint.py::test_an_endpoint_of_this_api"
    ),
    "docs/operations.md#which-redis-commands-does-it-need": (
        "acceptance/test_docs_redis_user.py::test_it_may_do_all_that_the_system_does"
    ),
}
"""Sections whose blocks need a system of their own, and the test that runs them."""

EXAMPLES = ROOT / "examples"
ANSWERS = {"http", "json", "text"}
COMMANDS = {
    "sh": "{}",
    "sql": ".demo/psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 <<'END_OF_BLOCK'\n{}END_OF_BLOCK\n",
    "python": "python - <<'END_OF_BLOCK'\n{}END_OF_BLOCK\n",
}

_LEFT_OUT = "…"


def _settings(text: str) -> None:
    """Check the lines of a `.env`; raises ValueError where there is no such variable."""
    known = shown_variables()
    for line in text.splitlines():
        name, equals, _ = line.partition("=")
        if not equals or name not in known:
            raise ValueError(f"{name} is no setting of .env.example")


PARSERS: dict[str, Callable[[str], object]] = {
    "ini": _settings,
    "json": json.loads,
    "promql": promql_parser.parse,
    "yaml": yaml.safe_load,
}


class UnknownBlockError(Exception):
    """Nothing here can try a block of code; the message has the file, the line, and what to do."""


@dataclass(frozen=True, slots=True)
class Step:
    """A script of a page for the reader's shell, and the answer that the page shows; empty where it shows none."""

    where: str
    script: str
    answer: str = ""

    @property
    def asks_only(self) -> bool:
        """Whether it changes nothing, so that it may be asked again."""
        lines = self.script.replace("\\\n", " ").splitlines()
        asks = re.compile(r"((\w+=\$\()?curl(?!.* -(X|d) ) )|anomaly-cache (replicas|explain|doctor)\b")
        return all(asks.match(line) for line in lines)

    def differs(self, said: str) -> str:
        """Return the first line of the answer that the output lacks; empty if it has all of them, in their order."""
        lines = iter(said.splitlines())
        for wanted in filter(None, self.answer.splitlines()):
            pattern = ".*".join(re.escape(part) for part in wanted.split(_LEFT_OUT))
            if not any(re.fullmatch(pattern, line.rstrip()) for line in lines):
                return wanted
        return ""


def steps_of(page: Document) -> list[Step]:
    """Return what the shell is to run, in the page's order; the blocks that are no commands are parsed.

    Raises UnknownBlockError where a block is neither.
    """
    steps: list[Step] = []
    before = ""
    for block, following in zip(page.blocks, [*page.blocks[1:], None], strict=False):
        name = name_of(page.path)
        is_answer = before in COMMANDS and block.language in ANSWERS
        if not is_answer and f"{name}#{block.section}" not in ELSEWHERE and not _of_an_example(block.text):
            answer = following.text if following is not None and following.language in ANSWERS else ""
            steps.extend(_steps_at(f"{name}:{block.number}", block, answer))
        before = block.language
    return steps


def _steps_at(where: str, block: Block, answer: str) -> Iterator[Step]:
    if block.language == "console":
        yield from _transcript(where, block)
    elif block.language in COMMANDS:
        yield Step(where, COMMANDS[block.language].format(block.text), answer)
    elif block.language in PARSERS:
        try:
            PARSERS[block.language](block.text)
        except (ValueError, yaml.YAMLError) as error:
            raise UnknownBlockError(f"{where}: this is no {block.language}: {error}") from error
    else:
        raise UnknownBlockError(
            f"{where}: nothing tries a block of {block.language or 'no language'}. What is run is console and "
            f"{', '.join(COMMANDS)}; {', '.join(sorted(ANSWERS))} right behind these are what they print; "
            f"{', '.join(PARSERS)} are parsed; a part of a file in examples/ is run with that: tests/support/steps.py."
        )


def _transcript(where: str, block: Block) -> Iterator[Step]:
    """Split a transcript into its commands, which begin with $, and what each printed."""
    parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    if parts[0]:
        raise UnknownBlockError(f"{where}: a block of console begins with $ and a command")
    for part in parts[1:]:
        command = re.match(r"(.*\\\n)*.*\n", part)
        assert command is not None
        yield Step(where, command[0], part[command.end() :])


def _of_an_example(text: str) -> bool:
    return any(text in path.read_text() for path in EXAMPLES.glob("**/*") if path.suffix in {".py", ".sql"})


def name_of(path: Path) -> str:
    """Return a page's name in the repository, such as docs/http.md."""
    return path.relative_to(ROOT).as_posix()
