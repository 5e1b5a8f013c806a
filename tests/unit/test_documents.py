"""How the tests read Markdown."""

from pathlib import Path

from tests.support.documents import Block, read

PAGE = """\
# A `page`, of tests

See [there](other.md#part) and [`code`](x.md), not `[this](nowhere.md)`.

## Part

```sh
# no heading
make demo  # [no](link)
```

## Part
"""


def test_code_is_told_from_prose(tmp_path: Path) -> None:
    """Headings, links and blocks are found, and what only looks like one within code is not."""
    file = tmp_path / "page.md"
    file.write_text(PAGE)
    page = read(file)
    assert page.anchors == ["a-page-of-tests", "part", "part-1"]
    assert page.links == ["other.md#part", "x.md"]
    assert page.code == ["page", "code", "[this](nowhere.md)"]
    assert page.blocks == [Block("sh", "part", ["# no heading", "make demo  # [no](link)"])]
    assert page.section("part", "sh") == ["# no heading\nmake demo  # [no](link)\n"]
