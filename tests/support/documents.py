"""The documentation, read: headings and their anchors, links, and blocks of code."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.compose_file import ROOT

DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), *ROOT.glob("examples/**/*.md"), *ROOT.glob("bench/**/*.md")])

_FENCE = re.compile(r" {0,3}```(?P<language>[\w-]*) *")
_HEADING = re.compile(r"#{1,6} +(?P<text>.*?) *#*")
_CODE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(slots=True)
class Block:
    """A fenced block of code: its language, the anchor of its section, its lines, and the number of its first one."""

    language: str
    section: str
    lines: list[str] = field(default_factory=list)
    number: int = field(default=0, compare=False)

    @property
    def text(self) -> str:
        """What is in it."""
        return "".join(f"{line}\n" for line in self.lines)


@dataclass(slots=True)
class Document:
    """A Markdown file of ours: its lines outside of code, the anchors of its headings, and its blocks of code."""

    path: Path
    prose: list[str] = field(default_factory=list)
    anchors: list[str] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)

    @property
    def links(self) -> list[str]:
        """The targets of its links."""
        return _LINK.findall(_CODE.sub("``", "\n".join(self.prose)))

    @property
    def code(self) -> list[str]:
        """What stands between backquotes within a line."""
        return _CODE.findall("\n".join(self.prose))

    def section(self, anchor: str, language: str) -> list[str]:
        """Return the texts of the blocks of one language in a section."""
        assert anchor in self.anchors, f"{self.path.name} has no #{anchor}"
        return [block.text for block in self.blocks if (block.section, block.language) == (anchor, language)]


def read(path: Path) -> Document:
    """Read a Markdown file."""
    document = Document(path)
    inside = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        fence = _FENCE.fullmatch(line)
        if fence is not None:
            inside = not inside
            if inside:
                section = document.anchors[-1] if document.anchors else ""
                document.blocks.append(Block(fence["language"], section, number=number + 1))
        elif inside:
            document.blocks[-1].lines.append(line)
        else:
            document.prose.append(line)
            heading = _HEADING.fullmatch(line)
            if heading is not None:
                document.anchors.append(_anchor(heading["text"], document.anchors))
    assert not inside, f"{path.name}: a block of code does not end"
    return document


def _anchor(heading: str, before: list[str]) -> str:
    """Return what a link to a heading says, as GitHub makes it: a second one of the same text is numbered."""
    anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
    same = sum(re.fullmatch(rf"{re.escape(anchor)}(-\d+)?", other) is not None for other in before)
    return f"{anchor}-{same}" if same else anchor
