"""Changes to files as the documentation shows them: a unified diff without line numbers."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines of a file, before and after a change."""

    before: str
    after: str


def apply(diff: str, root: Path) -> None:
    """Change the file below `root` that a diff names; its lines must be there, once, as the diff has them."""
    head, *hunks = diff.split("@@\n")
    file = root / head.strip().removeprefix("--- ")
    text = file.read_text()
    for hunk in map(_parse, hunks):
        assert text.count(hunk.before) == 1, f"{file.name} does not have, or has twice:\n{hunk.before}"
        text = text.replace(hunk.before, hunk.after)
    file.write_text(text)


def _parse(text: str) -> Hunk:
    lines = [(line[:1] or " ", line[1:]) for line in text.splitlines()]
    assert {sign for sign, _ in lines} <= {" ", "-", "+"}
    return Hunk(
        "".join(f"{line}\n" for sign, line in lines if sign != "+"),
        "".join(f"{line}\n" for sign, line in lines if sign != "-"),
    )
