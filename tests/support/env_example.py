"""`.env.example`, read: which variables it shows, and what stands above each."""

import re
from dataclasses import dataclass

from tests.support.compose_file import ROOT

ENV_EXAMPLE = ROOT / ".env.example"

_SHOWN = re.compile(r"^(?P<comment># )?(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>.*)$")


@dataclass(frozen=True, slots=True)
class ShownVariable:
    """One variable: the value shown, whether its line is commented out, and whether a comment explains it."""

    name: str
    value: str
    commented: bool
    explained: bool


def shown_variables() -> dict[str, ShownVariable]:
    """Return what `.env.example` shows, by name. A comment explains all variables down to the next one."""
    shown: dict[str, ShownVariable] = {}
    explained = False
    for line in ENV_EXAMPLE.read_text().splitlines():
        found = _SHOWN.match(line)
        if found:
            name = found["name"]
            assert name not in shown, f"{name} stands twice in .env.example"
            shown[name] = ShownVariable(name, found["value"], bool(found["comment"]), explained)
        else:
            explained = line.startswith("#") and not line.startswith("# ---")
    return shown
