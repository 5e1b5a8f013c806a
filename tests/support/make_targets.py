"""The `make` commands of the documentation, and what shortens those that take longer than it takes to try them."""

import re

from tests.support.documents import PAGES, read

ELSEWHERE = {"demo": "acceptance/test_docs_fresh.py", "compose-test": "compose/__main__.py"}
"""Targets that are not tried by themselves, and the file that runs them, or that they are."""

TRIES: dict[str, list[str]] = {
    "bench": ["ARGS=--quick --only protection"],
    "bench-hit-rate": ["ARGS=--updates 10 --mode rows --seconds 2 --warm-up 1 --reads 200"],
    "chaos": ["ARGS=-k test_what_changes_nothing_drops_nothing"],
    "check": [],
    "docs-test": ["ARGS=--collect-only -q"],
    "help": [],
    "lock": [],
    "model": ["ARGS=--most-states 200"],
    "mutants": ["ARGS=ignores-stamps"],
    "soak": ["MINUTES=0.1", "ARGS=--rate 300"],
    "test": ["WORKERS=1", "ARGS=tests/unit/test_keys.py"],
}
"""What is said behind the documentation's own words: of two values of a variable make takes the last."""

ON_A_TERMINAL = {"bench-hit-rate": r"rows, 10 updates/s.*━", "soak": r"━.* 0 of [\d,]+, worst 0\.\d+ s"}
"""Targets that show how far they are, and what is then seen."""

PLOTS = {"bench-hit-rate": "docs/img/hit-rate.svg", "soak": ".chaos/staleness.svg"}


def documented_targets() -> set[str]:
    """Return what some page has its reader make."""
    pages = [read(path) for path in PAGES]
    code = [text for page in pages for text in (*page.code, *(block.text for block in page.blocks))]
    commands = re.findall(r"^make ([a-z][^#\n]*)", "\n".join(code), re.MULTILINE)
    return {word for command in commands for word in re.sub(r"\S+=(\"[^\"]*\"|\S+)", "", command).split()}
