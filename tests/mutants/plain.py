"""A cache like any other: what every scenario is there to tell from ours."""

import re
from collections.abc import Iterator
from pathlib import Path

from coherence.view import View
from tests.mutants.mutant import Catalogue, Catcher, scenario, stand_in

PLAIN = Catalogue()

_SCENARIOS = Path(__file__).parents[1] / "chaos"
WITHOUT_READERS = ("test_listen_refused.py", "test_soak.py")
"""Scenarios of a listener that does not start, and what draws scenarios at random."""
OF_TOO_MUCH = "test_what_changes_nothing_drops_nothing"
"""A scenario of a cache that drops too much, of which this is the opposite."""


def scenarios() -> Iterator[Catcher]:
    """Yield every scenario."""
    for file in sorted(set(_SCENARIOS.glob("test_*.py")) - {_SCENARIOS / name for name in WITHOUT_READERS}):
        for name in re.findall(r"^async def (test_\w+)\(", file.read_text(), re.MULTILINE):
            if name != OF_TOO_MUCH:
                yield scenario(f"{file.name}::{name}")


@PLAIN.mutant(*scenarios())
def trusts_the_ttl() -> None:
    """Serves what it has until its TTL ends, as other caches do."""
    stand_in(View, "valid", lambda *_: True)
    stand_in(View, "unaffected", lambda *_, **__: True)
