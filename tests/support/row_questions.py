"""What a cache is asked while rows change: every combination of filters, pages of every size and place, single rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, product
from urllib.parse import urlencode

import psycopg

from coherence.loading import Content
from coherence.query import Query
from service.place import Place
from service.problems import Problem
from service.queries import ANOMALIES, ANOMALY, TRANSACTIONS
from service.questions import Question, Statement
from tests.support.row_values import ACCOUNTS, EDGES, IDS, STATUSES

PAGES = ((1, 0), (1, 1), (2, 0), (3, 3), (1, 9), (5, 5), (10, 0), (4, 20), (1000, 0), (7, 40), (100, 3))
"""Limits and offsets."""

PLACES = (
    Place("2025-01-01T12:05:00+00:00", "t-050"),
    Place("2025-01-01T12:00:00.5+00:00", "t-100"),
    Place("2025-01-01T12:08:00+00:00", ""),
    Place("2025-01-01T12:00:00+00:00", "null"),
    Place("2024-06-01T00:00:00+00:00", "t-000"),
    Place("9999-12-31T23:59:59.999999+00:00", "t-192"),
    Place(None, "t-100"),
)
"""Where pages behind a cursor begin: among rows that are level with each other, in gaps, and at the ends."""

BEHIND = tuple(product((2, 5, 1, 1000, 10), PLACES))
"""Limits and places."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A query, as a request means it, and the SQL that answers it."""

    question: Question
    query: Query
    statement: Statement


def asked(question: Question, path_value: str = "", **parameters: object) -> Asked:
    """Return what a request with these parameters asks; those that are None are not given."""
    given = {name: value for name, value in parameters.items() if value is not None}
    query = question.ask(urlencode(given).encode(), path_value)
    return Asked(question, query, question.statement(query))


def every_kind() -> list[Asked]:
    """Return some 240 queries of all three routes."""
    return [*_anomalies(), *_transactions(), *(asked(ANOMALY, key) for key in IDS[:30])]


def _anomalies() -> Iterator[Asked]:
    pages, places = cycle(PAGES), cycle(BEHIND)
    scores, statuses, accounts = (None, *EDGES), (None, *STATUSES[:2]), (None, *ACCOUNTS[:3])
    for score, status, account in product(scores, statuses, accounts):
        for _ in range(2):
            limit, offset = next(pages)
            yield asked(ANOMALIES, min_score=score, status=status, account_id=account, limit=limit, offset=offset)
        limit, place = next(places)
        cursor = place.as_cursor(ANOMALIES.path)
        yield asked(ANOMALIES, min_score=score, status=status, account_id=account, limit=limit, cursor=cursor)


def _transactions() -> Iterator[Asked]:
    pages, places = cycle(PAGES), cycle(BEHIND)
    for account in ACCOUNTS:
        limit, place = next(places)
        yield asked(TRANSACTIONS, account, limit=limit, cursor=place.as_cursor(TRANSACTIONS.path))
        for _ in range(2):
            limit, offset = next(pages)
            yield asked(TRANSACTIONS, account, limit=limit, offset=offset)


async def fresh(connection: psycopg.AsyncConnection, questions: Sequence[Asked]) -> list[Content | Problem]:
    """Return what Postgres answers to each now; the Problem where the row is not there.

    The connection is the API's: in UTC, and leaves JSON as its bytes.
    """
    async with connection.pipeline():
        cursors = [await connection.execute(each.statement[0].encode(), each.statement[1]) for each in questions]
        rows = [await cursor.fetchall() for cursor in cursors]
    return [_content(each, found) for each, found in zip(questions, rows, strict=True)]


def _content(each: Asked, rows: list[tuple[object, ...]]) -> Content | Problem:
    try:
        return each.question.content(each.query, rows)
    except Problem as problem:
        return problem
