"""docs/features.md: each feature names a test that there is."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.compose_file import ROOT
from tests.support.documents import DOCS, read

TESTS = ROOT / "tests"
NODE = re.compile(r"(?P<file>[\w/]+\.py)::(?P<name>(?:Test\w+::)?test_\w+)")


def found_in(file: Path) -> set[str]:
    """Return the names of the tests in a file, as pytest calls them."""
    return set(_names(ast.parse(file.read_text()).body, ""))


def _names(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if name.startswith("test_"):
                yield prefix + name
            case ast.ClassDef(name=name, body=members) if name.startswith("Test"):
                yield from _names(members, f"{prefix}{name}::")


def test_every_test_that_is_named_exists() -> None:
    """Whoever renames a test is told that the page names it."""
    named = [(match["file"], match["name"]) for match in map(NODE.fullmatch, read(DOCS / "features.md").code) if match]
    assert len(named) > 50
    known = {file: found_in(TESTS / file) for file, _ in named if (TESTS / file).exists()}
    assert [f"{file}::{name}" for file, name in named if name not in known.get(file, ())] == []


def test_every_feature_names_a_test() -> None:
    """There is none that is claimed alone."""
    rows = [line for line in read(DOCS / "features.md").prose if line.startswith("| ")]
    features = [row for row in rows if not row.startswith("| feature |")]
    assert len(features) > 50
    assert [row for row in features if not NODE.search(row.rsplit("|", 2)[1])] == []
