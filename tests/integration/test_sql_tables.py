"""The tables take what the API promises to show, and nothing that its JSON could not hold."""

import json
from collections.abc import AsyncIterator

import psycopg
import pytest

from tests.support.postgres import one

ANOMALY = {
    "transaction_id": "'t'",
    "account_id": "'a'",
    "amount": "10.5",
    "currency": "'EUR'",
    "score": "0.5",
    "status": "'NEW'",
    "detected_at": "'2025-01-02 03:04:05+00'",
    "updated_at": "'2025-01-02 03:04:05+00'",
}


@pytest.fixture
async def owner(migrated_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """A session with the migrated tables."""
    async with await psycopg.AsyncConnection.connect(migrated_url, autocommit=True) as connection:
        yield connection


def insertion(**changed: str) -> bytes:
    """Return an INSERT of an anomaly with some values, written as SQL, of one's own."""
    values = {**ANOMALY, **changed}
    return f"INSERT INTO anomalies ({', '.join(values)}) VALUES ({', '.join(values.values())})".encode()  # noqa: S608


async def test_defaults(owner: psycopg.AsyncConnection) -> None:
    """What must be given is little: status, times and all further columns have defaults or may be null."""
    await owner.execute(
        "INSERT INTO anomalies (transaction_id, account_id, amount, currency, score) VALUES ('t', 'a', 10, 'EUR', 0.5)"
    )
    await owner.execute(
        "INSERT INTO transactions (transaction_id, account_id, amount, currency) VALUES ('t', 'a', 10.5, 'EUR')"
    )
    assert (
        await one(owner, "SELECT status FROM anomalies WHERE detected_at = updated_at AND detected_at <= now()")
        == "NEW"
    )
    assert await one(owner, "SELECT count(*) FROM transactions WHERE occurred_at <= now()") == 1


async def test_copy_of_the_promised_columns(owner: psycopg.AsyncConnection) -> None:
    """COPY of the documented columns works."""
    async with owner.cursor() as cursor:
        async with cursor.copy("""
            COPY anomalies (transaction_id, account_id, amount, currency, score, status, reason, detected_at,
                            updated_at)
            FROM STDIN
        """) as copy:
            await copy.write_row(("t", "a", 1, "EUR", 1, "NEW", None, "2025-01-01 00:00+00", "2025-01-01 00:00+00"))
        async with cursor.copy("""
            COPY transactions (transaction_id, account_id, amount, currency, merchant, channel, occurred_at)
            FROM STDIN
        """) as copy:
            await copy.write_row(("t", "a", 1, "EUR", "m", "c", "2025-01-01 00:00+00"))


async def test_refuses_what_json_cannot_say(owner: psycopg.AsyncConnection) -> None:
    """An amount is a number, a score is from 0 to 1, a status is one of five, and a time has an ISO 8601 form."""
    for column, values in {
        "amount": ["'NaN'", "'Infinity'", "'-Infinity'", "NULL", "1e16"],
        "score": ["-0.01", "1.01", "'NaN'", "'Infinity'", "NULL"],
        "status": ["'new'", "''", "NULL"],
        "detected_at": ["'infinity'", "'-infinity'", "'10000-01-01 00:00+00'", "'0044-03-15 00:00+00 BC'", "NULL"],
        "updated_at": ["'infinity'", "NULL"],
        "currency": ["'EURO'", "NULL"],
        "account_id": ["NULL"],
    }.items():
        for value in values:
            with pytest.raises((psycopg.IntegrityError, psycopg.DataError)):
                await owner.execute(insertion(**{column: value}))
    with pytest.raises(psycopg.errors.CheckViolation):
        await owner.execute("INSERT INTO transactions VALUES ('t', 'a', 'NaN', 'EUR')")
    with pytest.raises(psycopg.errors.CheckViolation):
        await owner.execute("INSERT INTO transactions VALUES ('t', 'a', 1, 'EUR', NULL, NULL, 'infinity')")


async def test_takes_the_extremes(owner: psycopg.AsyncConnection) -> None:
    """The bounds themselves are in; an amount keeps its two decimals, and is exact."""
    extremes = [
        {"score": "0", "amount": "-9999999999999999.99", "detected_at": "'0001-01-01 00:00+00'"},
        {"score": "1", "amount": "9999999999999999.99", "detected_at": "'9999-12-31 23:59:59.999999+00'"},
        {"score": "'-0'", "amount": "0", "status": "'DISMISSED'"},
    ]
    for number, extreme in enumerate(extremes):
        await owner.execute(insertion(transaction_id=f"'{number}'", **extreme))
    rows = await one(owner, "SELECT json_agg(a ORDER BY transaction_id)::text FROM anomalies a")
    assert [row["amount"] for row in json.loads(rows, parse_float=str)] == [
        "-9999999999999999.99",
        "9999999999999999.99",
        "0.00",
    ]
