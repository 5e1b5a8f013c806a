"""What is asked, and what is written: made from a seed, the same on any machine."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate, count, product
from random import Random

import psycopg

STATUSES = ("NEW", "INVESTIGATING", "INVESTIGATED", "CONFIRMED", "DISMISSED")
SCORES = (None, 0.5, 0.7, 0.8, 0.9, 0.95)
PAGES = (0, 1, 2)
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

# Texts as the API shows them, and as the triggers tell them: so they can be compared as they are.
_ROWS = """
SELECT transaction_id, account_id, score, status,
       to_jsonb(detected_at) #>> '{}', to_jsonb(updated_at) #>> '{}'
FROM public.anomalies ORDER BY transaction_id
"""


@dataclass(frozen=True, slots=True)
class Row:
    """What of an anomaly decides which answers show it, and `version`: its `updated_at`, which every write changes."""

    transaction_id: str
    account_id: str
    score: float
    status: str
    detected_at: str
    version: str


@dataclass(frozen=True, slots=True)
class Asked:
    """One query of the list of anomalies."""

    status: str | None
    min_score: float | None
    account_id: str | None
    offset: int
    limit: int

    @property
    def target(self) -> str:
        """The path and the query string."""
        given = {"status": self.status, "min_score": self.min_score, "account_id": self.account_id}
        words = [f"{name}={value}" for name, value in given.items() if value is not None]
        words += [f"limit={self.limit}", f"offset={self.offset}"]
        return f"/api/v1/anomalies?{'&'.join(words)}"

    def shows(self, row: Row) -> bool:
        """Tell whether a row matches the filters."""
        return (
            self.status in (None, row.status)
            and (self.min_score is None or row.score >= self.min_score)
            and self.account_id in (None, row.account_id)
        )


def read_rows(url: str) -> list[Row]:
    """Return all anomalies of a database."""
    with psycopg.connect(url, options="-c TimeZone=UTC") as connection:
        return [Row(*values) for values in connection.execute(_ROWS).fetchall()]


def queries(rows: Sequence[Row], *, amount: int, limit: int, random: Random) -> list[Asked]:
    """Return `amount` different queries, the most popular first.

    108 of them are the pages of every status by every score, the others of single accounts, each picked by one of
    its rows: accounts with many cases come more often.
    """
    pages = [
        Asked(status, score, None, page * limit, limit)
        for status, score, page in product((None, *STATUSES), SCORES, PAGES)
    ]
    made = dict.fromkeys(random.sample(pages, min(len(pages), amount)))
    while len(made) < amount:
        account = random.choice(rows).account_id
        made[Asked(random.choice((None, *STATUSES)), None, account, 0, limit)] = None
    shuffled = list(made)
    random.shuffle(shuffled)
    return shuffled


def popularity(amount: int, exponent: float = 1.0) -> list[float]:
    """Return the cumulative weights of Zipf's law."""
    return list(accumulate(rank**-exponent for rank in range(1, amount + 1)))


class Writer:
    """Makes up changes: the status of a random row, or a new anomaly, the newest of all.

    `inserts` is the share of the latter.
    """

    def __init__(self, rows: Sequence[Row], *, inserts: float, random: Random) -> None:
        self._rows = list(rows)
        self._inserts = inserts
        self._random = random
        self._numbers = count(1)

    def next(self) -> Row:
        """Return the next row to write, as it is to be."""
        number = next(self._numbers)
        place = self._random.randrange(len(self._rows))
        row = self._rows[place]
        # Whole seconds are written alike by everybody.
        now = (_EPOCH + timedelta(seconds=number)).isoformat()
        if self._random.random() < self._inserts:
            new = replace(row, transaction_id=f"BENCH_{number:08d}", status="NEW", detected_at=now, version=now)
            self._rows.append(new)
            return new
        status = self._random.choice([each for each in STATUSES if each != row.status])
        self._rows[place] = replace(row, status=status, version=now)
        return self._rows[place]
