"""The report: JSON, Markdown and charts in `bench/results`, and the generated part of docs/performance.md."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.figures import RESULTS
from bench.freshness import FRESHNESS
from bench.growth.section import GROWTH
from bench.protection import PROTECTION
from bench.sections import Section
from bench.speed.section import SPEED
from bench.writes import WRITES

SECTIONS: tuple[Section, ...] = (SPEED, FRESHNESS, WRITES, GROWTH, PROTECTION)
DOCS = Path(__file__).parents[1] / "docs"
BEGIN = "<!-- made by `make bench`: do not edit from here -->"
END = "<!-- to here -->"


def write(document: Mapping[str, Any], name: str, *, documented: bool) -> Path:
    """Write the result to `bench/results/<date>[-<name>]`, as .json and .md, with its charts; return the JSON's path.

    With `documented`, the generated part of docs/performance.md is made of it too.
    """
    RESULTS.mkdir(exist_ok=True)
    stem = f"{datetime.now(UTC):%Y-%m-%d}" + (f"-{name}" if name else "")
    path = RESULTS / f"{stem}.json"
    path.write_text(json.dumps(document, indent=1) + "\n")
    charts = charts_of(document)
    for chart, svg in charts.items():
        (RESULTS / f"{stem}-{chart}").write_text(svg)
    (RESULTS / f"{stem}.md").write_text(f"# Measured\n\n{text_of(document, f'{stem}-')}")
    if documented:
        for chart, svg in charts.items():
            (DOCS / "img" / chart).write_text(svg)
        page = DOCS / "performance.md"
        page.write_text(with_generated(page.read_text(), text_of(document, "img/")))
    return path


def charts_of(document: Mapping[str, Any]) -> dict[str, str]:
    """Return all charts, by the name of their file."""
    return {
        name: svg
        for section in SECTIONS
        if "failed" not in (result := document["sections"].get(section.name, {"failed": ""}))
        for name, svg in section.charts(result).items()
    }


def text_of(document: Mapping[str, Any], images: str) -> str:
    """Return the report in Markdown; `images` stands before the charts' names."""
    parts = [_about(document)]
    for section in SECTIONS:
        result = document["sections"].get(section.name)
        if result is None:
            continue
        if "failed" in result:
            parts.append(f"## {section.title}\n\nCould not be run: {result['failed']}\n")
            continue
        pictures = "".join(f"![{section.title}]({images}{name})\n\n" for name in section.charts(result))
        parts.append(f"## {section.title}\n\n{pictures}{section.render(result)}")
    return "\n".join(parts)


def with_generated(page: str, text: str) -> str:
    """Return a page with its generated part replaced. Raises ValueError where the page has none."""
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError("the page has no generated part")
    return f"{before}{BEGIN}\n\n{text}\n{END}{after}"


def _about(document: Mapping[str, Any]) -> str:
    machine = document["machine"]
    haste = " **A quick look: these figures mean little.**" if document["quick"] else ""
    return (
        f"Measured on {machine['date']}: {machine['processors']} processors, {machine['system']}, "
        f"Python {machine['python']}, Postgres {machine['postgres']}; load before {machine['load_before']:g}; "
        f"{document['took'] / 60:.0f} minutes.{haste}\n"
    )
