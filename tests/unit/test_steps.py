"""How the tests read what a page has its reader do; and that every block of every page can be tried."""

import re
from pathlib import Path

import pytest

from tests.support import make_targets
from tests.support.compose_file import ROOT
from tests.support.documents import PAGES, Block, Document, read
from tests.support.make_targets import TRIES, documented_targets
from tests.support.page_shell import STAND_INS
from tests.support.steps import ELSEWHERE, Step, UnknownBlockError, name_of, steps_of
from tests.unit.test_docs_features import TESTS, found_in

SAID = 'HTTP/1.1 200 OK\r\ndate: today\r\netag: "a1"\r\n\r\n{"a": 1, "b": [2]}'
HELPERS = {"wrong", "service", "stays", "leave", "survive"}


@pytest.mark.parametrize("answer", ["", "HTTP/1.1 200 OK\n", 'HTTP/1.1 200 OK\netag: "…"\n\n{"a": …, "b": […]}\n'])
def test_an_answer_may_leave_out(answer: str) -> None:
    """Whole lines, and the parts in whose place … stands."""
    assert Step("here", "true", answer).differs(SAID) == ""


@pytest.mark.parametrize("answer", ["HTTP/1.1 404…", "etag", 'etag: "…"\nHTTP/1.1 200 OK', '{"a": 2…', '{"b…'])
def test_an_answer_that_differs_is_found(answer: str) -> None:
    """Another line, part of a line, another order, another value."""
    assert Step("here", "true", answer).differs(SAID) != ""


@pytest.mark.parametrize(
    "script",
    ["curl -s $API", "ID=$(curl -s $API | cut -c 1)\ncurl -s \\\n  $API | grep x", "anomaly-cache replicas --json\n"],
)
def test_what_only_asks_may_be_asked_again(script: str) -> None:
    """Plain requests change nothing, nor do an operator's questions."""
    assert Step("here", script).asks_only


@pytest.mark.parametrize(
    "script",
    ["curl -X PUT $API", "curl -s \\\n -d '{}' $API", "psql -c 'UPDATE x'", "curl a\nrm b", "anomaly-cache seed"],
)
def test_what_changes_something_is_done_once(script: str) -> None:
    """Other methods, and other commands."""
    assert not Step("here", script).asks_only


def page(*blocks: Block) -> Document:
    """A page with these blocks."""
    return Document(ROOT / "docs" / "page.md", blocks=list(blocks))


def test_blocks_become_steps() -> None:
    """Commands have the answer that follows them, transcripts are split, and what is no command is parsed."""
    steps = steps_of(
        page(
            Block("sh", "", ["echo 1"], 3),
            Block("json", "", ["1"], 7),
            Block("json", "", ["{}"], 9),
            Block("console", "", ["$ echo a \\", "  b", "a b", "$ true"], 20),
            Block("sql", "", ["SELECT 1;"], 30),
        )
    )
    assert [(step.where, step.script, step.answer) for step in steps[:3]] == [
        ("docs/page.md:3", "echo 1\n", "1\n"),
        ("docs/page.md:20", "echo a \\\n  b\n", "a b\n"),
        ("docs/page.md:20", "true\n", ""),
    ]
    assert "SELECT 1;" in steps[3].script


@pytest.mark.parametrize(
    "block",
    [
        Block("", "", ["picture"]),
        Block("text", "", ["an answer to nothing"]),
        Block("bash", "", ["true"]),
        Block("json", "", ["{"]),
        Block("yaml", "", ["a: b: c"]),
        Block("promql", "", ["sum(rate(x[5m])"]),
        Block("console", "", ["no command"]),
    ],
)
def test_a_block_that_cannot_be_tried_is_told_with_its_place(block: Block) -> None:
    """No language, an unknown one, an answer without a question, bad syntax."""
    block.number = 12
    with pytest.raises(UnknownBlockError, match=r"^docs/page\.md:12: "):
        steps_of(page(block))


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_block_can_be_tried(path: Path) -> None:
    """No page has a block that is neither run nor parsed."""
    steps_of(read(path))


def test_what_is_run_elsewhere_is_there() -> None:
    """Each section that is left out has blocks, and the test that is said to run them exists."""
    sections = {f"{name_of(path)}#{block.section}" for path in PAGES for block in read(path).blocks}
    assert ELSEWHERE.keys() <= sections
    for test in ELSEWHERE.values():
        file, _, name = test.partition("::")
        assert name in found_in(TESTS / file)


def test_every_target_of_a_page_is_tried() -> None:
    """What the pages have their readers make is in `make docs-test`, or is run elsewhere."""
    assert documented_targets() <= TRIES.keys() | make_targets.ELSEWHERE.keys()
    for file in make_targets.ELSEWHERE.values():
        assert (TESTS / file).exists()


def test_no_stand_in_is_left_over() -> None:
    """What page_shell.bash defines is a program that some page runs."""
    names = set(re.findall(r"^([a-z-]+)\(\) {$", STAND_INS.read_text(), re.MULTILINE)) - HELPERS
    scripts = "\n".join(step.script for path in PAGES for step in steps_of(read(path)))
    assert names
    assert [name for name in names if not re.search(rf"(^|[\s(]){name} ", scripts, re.MULTILINE)] == []
