"""`python -m tests.chaos.guarantees [directory]`: put what the runs found into docs/guarantees.md."""

import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.chaos.fleet import BOUND
from tests.chaos.report import SOAK, read_reports

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "guarantees.md"
REPORTS = ROOT / ".chaos"
LINE = re.compile(r"^(?P<head>\| `(?P<name>[a-z0-9-]+)` \|.*\|)(?P<measured>[^|]*)\|$", re.MULTILINE)
MARKER = re.compile(r'mark\.scenario\(\s*"([a-z0-9-]+)"')
SOAKED = re.compile(r"(<!-- soak -->\n).*?(<!-- end of soak -->)", re.DOTALL)
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
    [bound] = {each["bound"] for each in reports}
    longer = "" if bound == BOUND else f" (B = {bound:g} s)"
    found = f"{violations} of {reads:,}; {worst:.2f} s{longer}" if reads else ""
    figures: dict[str, float] = {}
    for name, value in (item for each in reports for item in each["figures"].items()):
        figures[name] = max(value, figures.get(name, value))
    return "; ".join(filter(None, [found, *(f"{name}: {value:,g}" for name, value in figures.items())]))


def refreshed(page: str, reports: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return the page with the last cell of each line made new where there is a report."""

    def line(match: re.Match[str]) -> str:
        found = reports.get(match["name"])
        return f"{match['head']} {measured(found)} |" if found else match[0]

    page = LINE.sub(line, page)
    return SOAKED.sub(lambda match: f"{match[1]}{soaked(reports[SOAK])}{match[2]}", page) if SOAK in reports else page


def soaked(reports: Sequence[Mapping[str, Any]]) -> str:
    """Return what the soaks found, fault by fault, and where the answers came from."""
    minutes, reads = sum(each["minutes"] for each in reports), sum(each["reads"] for each in reports)
    times, hits = Counter[str](), Counter[str]()
    worst: dict[str, float] = {}
    for each in reports:
        times.update(each["faults"])
        hits.update(each["hits"])
        for fault, seconds in each["worst_by_phase"].items():
            worst[fault] = max(seconds, worst.get(fault, 0.0))
    shares = ", ".join(f"{100 * count / reads:.1f} % from {layer}" for layer, count in sorted(hits.items()))
    rows = [f"| {fault} | {times[fault] or ''} | {seconds:.2f} |" for fault, seconds in sorted(worst.items())]
    runs = "One run" if len(reports) == 1 else f"{len(reports)} runs"
    answers = f"{reads:,} answers: {shares}, the others from Postgres"
    head = f"{runs}, {minutes:g} minutes, {times.total():,} faults, {answers}."
    return "\n".join([head, "", "| while | times | worst, s |", "|---|---:|---:|", *rows, ""])


def main() -> None:
    """Refresh the page."""
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else REPORTS
    PAGE.write_text(refreshed(PAGE.read_text(), read_reports(directory)))


if __name__ == "__main__":
    main()
