"""Writes at a steady rate, in a process of its own, and notes when each commit was sent and when it had returned."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import psycopg

from bench.workload import Row, Writer

MOST_AT_ONCE = 64
"""Commits that are under way at once where the writer has fallen behind."""

NAP_SECONDS = 0.002
"""Least time between looks at what is due: so a thousand a second go in twos, for less work."""

_UPDATE = "UPDATE public.anomalies SET status = %s, updated_at = %s WHERE transaction_id = %s"
_INSERT = """
INSERT INTO public.anomalies (transaction_id, account_id, amount, currency, score, status, detected_at, updated_at,
                              reason, merchant, channel, country, device_id, model_version)
VALUES (%s, %s, 99.50, 'EUR', %s, %s, %s, %s, 'made up by the bench', 'Bench', 'ecommerce', 'DE', 'dev_0', 'bench')
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to write, and when: from `begin` to `end`, in seconds of the machine's monotonic clock."""

    url: str
    rows: Sequence[Row]
    rate: float
    inserts: float
    seed: int
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Written:
    """A row as it was committed. The commit was sent at `begun`, and it had returned at `returned`."""

    row: Row
    begun: float
    returned: float


def ready() -> None:
    """Do nothing: once this has been called in a process, all that it needs is loaded."""


def write(plan: Plan) -> list[Written]:
    """Carry a plan out; return what was written, in the order of the commits.

    All goes through one connection, each change in its own transaction: so the order is known. What falls due while
    an earlier commit is under way is sent together, which is still a commit each.
    """
    writer = Writer(plan.rows, inserts=plan.inserts, random=Random(plan.seed))
    known = {row.transaction_id for row in plan.rows}
    written: list[Written] = []
    with psycopg.connect(plan.url, autocommit=True, prepare_threshold=0) as connection:
        while (now := time.monotonic()) < plan.end:
            due = int(max(0.0, now - plan.begin) * plan.rate) - len(written)
            if plan.rate == 0 or due <= 0:
                next_due = plan.begin + (len(written) + 1) / plan.rate if plan.rate else plan.end
                time.sleep(max(NAP_SECONDS, min(next_due, plan.end) - time.monotonic()))
                continue
            batch = [writer.next() for _ in range(min(due, MOST_AT_ONCE))]
            begun = time.monotonic()
            with connection.pipeline() as pipeline:
                for row in batch:
                    connection.execute(*_statement(row, known))
                    pipeline.sync()
                    known.add(row.transaction_id)
            returned = time.monotonic()
            written += [Written(row, begun, returned) for row in batch]
    return written


def _statement(row: Row, known: set[str]) -> tuple[str, tuple[object, ...]]:
    if row.transaction_id in known:
        return _UPDATE, (row.status, row.version, row.transaction_id)
    return _INSERT, (row.transaction_id, row.account_id, row.score, row.status, row.detected_at, row.version)
