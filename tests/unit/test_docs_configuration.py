"""docs/configuration.md and the settings that it is made from."""

from tests.support import configuration_page
from tests.support.documents import DOCS


def test_the_page_is_what_the_settings_say() -> None:
    """Whoever adds or changes a setting runs `scripts/configuration`."""
    said = (DOCS / "configuration.md").read_text(encoding="utf-8")
    assert said == configuration_page.page(), "out of date: run scripts/configuration"
