"""`python -m bench`, which is `make bench`: every measurement, one report."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import uvloop
from rich.console import Console

from bench.figures import machine
from bench.report import SECTIONS, write
from bench.sections import run

PATIENCE_SECONDS = 480.0
"""Most that one section may take."""

NAMES = [section.name for section in SECTIONS]


@click.command()
@click.option("--quick", is_flag=True, help="A look of two or three minutes; its figures mean little.")
@click.option("--only", "names", multiple=True, type=click.Choice(NAMES), default=NAMES, help="Sections to measure.")
@click.option("--name", default="", help="What the files of the result are called, beside the date.")
@click.option(
    "--docs/--no-docs", "documented", default=None, help="Write docs/performance.md; not by --quick or --only."
)
def main(quick: bool, names: Sequence[str], name: str, documented: bool | None) -> None:
    """Measure everything on this machine, which should have nothing else to do. Takes less than 20 minutes."""
    console = Console(stderr=True)
    began = time.monotonic()
    document: dict[str, Any] = {"machine": machine(), "quick": quick, "sections": {}}
    whole = not quick and set(names) == set(NAMES)
    path = Path()
    for section in SECTIONS:
        if section.name not in names:
            continue
        console.rule(f"{section.title} ({section.name})")

        def advance(what: str) -> None:
            console.print(f"{time.monotonic() - began:6.0f} s  {what}", highlight=False)

        document["sections"][section.name] = uvloop.run(run(section, quick, advance, PATIENCE_SECONDS))
        document["took"] = round(time.monotonic() - began, 1)
        # What has been measured is kept, whatever becomes of the rest.
        path = write(json.loads(json.dumps(document)), name, documented=whole if documented is None else documented)
    click.echo(f"{path.with_suffix('.md').read_text()}\n{path}")


if __name__ == "__main__":
    main()
