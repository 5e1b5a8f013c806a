"""`python -m tests.chaos.guarantees [directory]`: put what the runs found into docs/guarantees.md."""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.chaos.report import SOAK, read_reports

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "guarantees.md"
REPORTS = ROOT / ".chaos"
LINE = re.compile(r"^(?P<head>\| `(?P<name>[a-z0-9-]+)` \|.*\|)(?P<measured>[^|]*)\|$", re.MULTILINE)
MARKER = re.compile(r'mark\.scenario\(\s*"([a-z0-9-]+)"')
COLUMNS = 5


def lines_of(page: str) -> dict[str, list[str]]:
    """Return the table's lines as cells, by scenario."""
    return {match["name"]: [cell.strip() for cell in match[0][1:-1].split("|")] for match in LINE.finditer(page)}


def scenarios() -> list[str]:
    """Return the names of the scenarios that there are, and that of the soak."""
    sources = sorted(Path(__file__).parent.glob("test_*.py"))
    return [SOAK, *(name for source in sources for name in MARKER.findall(source.read_text()))]


def measured(reports: Sequence[Mapping[str, Any]]) -> str:
    """Return what a scenario's runs found, as the last cell of its line."""
    reads, violations = sum(each["reads"] for each in reports), sum(each["violations"] for each in reports)
    worst = max(each["worst"] for each in reports)
    found = f"{violations} of {reads:,}; {worst:.2f} s" if reads else ""
    figures = {name: value for each in reports for name, value in each["figures"].items()}
    return "; ".join(filter(None, [found, *(f"{name} {value:,g}" for name, value in figures.items())]))


def refreshed(page: str, reports: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return the page with the last cell of each line made new where there is a report."""

    def line(match: re.Match[str]) -> str:
        found = reports.get(match["name"])
        return f"{match['head']} {measured(found)} |" if found else match[0]

    return LINE.sub(line, page)


def main() -> None:
    """Refresh the page."""
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else REPORTS
    PAGE.write_text(refreshed(PAGE.read_text(), read_reports(directory)))


if __name__ == "__main__":
    main()
