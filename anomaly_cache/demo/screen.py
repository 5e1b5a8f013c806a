"""What the demo says to a person: paragraphs that are wrapped, and lines to copy that are not."""

import shutil
import textwrap

import click

WIDEST = 100


def width() -> int:
    """Columns of the terminal; 80 where there is none."""
    return shutil.get_terminal_size((80, 24)).columns


def say(text: str = "", *, indent: str = "") -> None:
    """Print a paragraph, wrapped to the terminal."""
    if not text:
        click.echo()
        return
    columns = max(20, min(width(), WIDEST))
    for line in textwrap.wrap(text, columns, initial_indent=indent, subsequent_indent=indent):
        click.echo(line)


def show(line: str, *, indent: str = "  ") -> None:
    """Print a line as it is, however wide: it is there to be copied."""
    click.echo(f"{indent}{line}")
