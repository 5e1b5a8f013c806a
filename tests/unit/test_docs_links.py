"""README and docs/: what they point at is there."""

import re
from pathlib import Path

import pytest
import yaml

from tests.support.compose_file import ROOT
from tests.support.documents import DOCS, PAGES, read

MAKEFILE = ROOT / "Makefile"
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """A relative link names a file of the repository, and what follows a # is a heading in it."""
    dead = []
    for link in read(page).links:
        if re.match(r"https?://", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in read(target).anchors):
            dead.append(link)
    assert dead == []


def test_every_runbook_is_there() -> None:
    """The link of each alert leads to a section of docs/operations.md, and each such section has an alert."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    links = [rule["annotations"]["runbook_url"] for group in groups for rule in group["rules"]]
    assert links
    for link in links:
        name, _, anchor = link.partition("#")
        assert anchor in read(ROOT / name).anchors, f"nothing at {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_exists(page: Path) -> None:
    """Where a page says `make something`, the Makefile has that target."""
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE.read_text(), re.MULTILINE))
    document = read(page)
    texts = [*document.code, *(line for block in document.blocks if block.language == "sh" for line in block.lines)]
    named = {found for text in texts for found in re.findall(r"(?:^|[;&|] *)make ([a-z-]+)", text)}
    assert named <= targets


def test_the_readme_leads_to_every_page() -> None:
    """Nothing in docs/ is hidden from a newcomer."""
    links = set(read(ROOT / "README.md").links)
    assert {f"docs/{page.name}" for page in DOCS.glob("*.md")} <= links
