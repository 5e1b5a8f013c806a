"""Settings that are lists, from their text. What is wrong with one is a ValueError."""

import re

from coherence.coding import CODINGS
from service.problems import Problem
from service.queries import ANOMALIES

NONE = "none"

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:.]+\](:[0-9]{1,5})?")
"""As browsers send it: in lower case, without a path."""


def query_strings(text: str) -> tuple[bytes, ...]:
    """Return query strings of the list of anomalies, parted by blanks; none for `none`."""
    found = () if text == NONE else tuple(part.removeprefix("?").encode() for part in text.split())
    for query_string in found:
        try:
            ANOMALIES.ask(query_string, "")
        except Problem as problem:
            reason = f"{query_string.decode()!r} is no query of {ANOMALIES.path}: {problem.detail}"
            raise ValueError(reason) from None
    return found


def codings(text: str) -> tuple[str, ...]:
    """Return content codings, parted by commas; none for `none`."""
    found = () if text == NONE else tuple(part.strip() for part in text.split(","))
    if not set(found) <= CODINGS.keys() or len(set(found)) < len(found):
        raise ValueError(f"must be {NONE}, or some of {', '.join(CODINGS)}, each once")
    return found


def origins(text: str) -> tuple[str, ...]:
    """Return origins, parted by commas, or `*` alone; none for no text."""
    found = tuple(filter(None, (part.strip() for part in text.split(","))))
    if found != ("*",) and not all(_ORIGIN.fullmatch(origin) for origin in found):
        raise ValueError("must be *, or a list of origins such as https://ui.example.com or http://localhost:3000")
    return found
