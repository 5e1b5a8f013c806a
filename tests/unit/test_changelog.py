"""The list of changes, as a release needs it."""

import re
import tomllib

from tests.support.compose_file import ROOT

TEXT = (ROOT / "CHANGELOG.md").read_text()
HEADINGS = re.findall(r"^## (.*)$", TEXT, flags=re.MULTILINE)


def test_its_newest_section_is_the_version_that_is_built() -> None:
    """Who bumps the version begins a section, and who begins a section bumps the version."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert HEADINGS[0].partition(", ")[0] == version


def test_every_section_says_when_it_was_released() -> None:
    """Only the newest may be unreleased; versions go down, and dates do."""
    found = [re.fullmatch(r"(\d+)\.(\d+)\.(\d+), (\d{4}-\d\d-\d\d|unreleased)", heading) for heading in HEADINGS]
    assert all(found), HEADINGS
    parts = [(tuple(map(int, each.groups()[:3])), each[4]) for each in found if each is not None]
    assert [version for version, _ in parts] == sorted({version for version, _ in parts}, reverse=True)
    dates = [date for _, date in parts]
    assert "unreleased" not in dates[1:]
    assert dates == sorted(dates, reverse=True)


def test_what_is_new_is_a_list() -> None:
    """A line a change, in one list a section."""
    for section in re.split(r"^## .*$", TEXT, flags=re.MULTILINE)[1:]:
        starts = [line[:2] for line in section.splitlines() if line]
        assert starts, "an empty section"
        assert set(starts) <= {"- ", "  "}
