"""Values to make rows and queries of: few, so that they meet; and such as are easily mistaken for one another."""

from math import nextafter
from random import Random

IDS = (
    'it\'s "one" \\ row',
    "t\N{COMBINING ACUTE ACCENT}e",
    "\N{LATIN SMALL LETTER E WITH ACUTE}",
    "e\N{COMBINING ACUTE ACCENT}",
    "null",
    "\N{LINE SEPARATOR}{}[]",
    "%s %(id)s %%",
    *(f"t-{number:03}" for number in range(193)),
)
ACCOUNTS = (
    "acc-1",
    'O\'Brien \\ "sons"',
    "\N{GRINNING FACE} \N{LATIN SMALL LETTER E WITH ACUTE}",
    "acc-2",
    "acc-10",
    "acc-1 ",
    "ACC-1",
    "e\N{COMBINING ACUTE ACCENT}",
    "0.5",
)
STATUSES = ("NEW", "CONFIRMED", "INVESTIGATING", "INVESTIGATED", "DISMISSED")
EDGES = (0.5, 1.0, 0.1 + 0.2, nextafter(0.5, 1))
"""Scores that are asked for, and those next to them."""
SCORES = (*EDGES, *EDGES, 0.3, nextafter(0.5, 0), nextafter(1.0, 0), 0.0, -0.0, 5e-324, 1 / 3)
WILD_SCORES = (None, "NaN", "Infinity", "-Infinity", 2.0, 1e300)
TIMES = (
    "2025-01-01 12:00:00+00",
    "2025-01-01 12:00:00.5+00",
    "2025-01-01 12:00:00.500001+00",
    "2025-01-01 12:00:00.49+00",
    "2025-01-01 11:59:59.999999+00",
    "2025-01-01 12:00:01+00",
    "2025-01-01 12:45:00+05:45",
    "2025-03-30 02:30:00+01",
    "2024-12-31 23:59:59-00:30",
    "1890-06-01 00:00:00+00",
    "0001-01-01 00:00:00+00",
    "9999-12-31 23:59:59.999999+00",
    *(f"2025-01-01 12:{minute:02}:00+00" for minute in range(10)),
)
WILD_TIMES = (None, "infinity", "-infinity", "0044-03-15 12:00:00+00 BC", "12025-01-01 00:00:00+00")


class Dice:
    """Random values, of which a share is `wild`: such that tables take only without their constraints."""

    def __init__(self, random: Random, *, wild: float = 0.0) -> None:
        self.random = random
        self.wild = wild

    def chance(self, share: float) -> bool:
        """Return whether something comes to pass that does so in this share of all cases."""
        return self.random.random() < share

    def account(self) -> str | None:
        """Return an account; a few have most of the rows."""
        if self.chance(self.wild):
            return None
        return self.random.choice(ACCOUNTS[:3] if self.chance(0.6) else ACCOUNTS)

    def status(self) -> str | None:
        """Return a status."""
        if self.chance(self.wild):
            return None
        return self.random.choice(STATUSES)

    def score(self) -> float | str | None:
        """Return a score, most often one that queries ask for."""
        if self.chance(self.wild):
            return self.random.choice(WILD_SCORES)
        return self.random.choice(SCORES)

    def time(self) -> str | None:
        """Return an instant as text."""
        if self.chance(self.wild):
            return self.random.choice(WILD_TIMES)
        return self.random.choice(TIMES)
