"""The ways in which a table may be watched, and somebody who hears what it announces."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

TABLE = "public.anomalies"
UNWATCH = f"SELECT coherence.unwatch('{TABLE}')"
COLUMNS = "SELECT columns FROM coherence.tables WHERE namespace = 'anomalies'"
PLAIN = "no trigger"
SETUPS = {
    PLAIN: (),
    "namespace": (f"SELECT coherence.watch('{TABLE}', 'anomalies', '{{}}')",),
    "rows": (f"SELECT coherence.watch('{TABLE}', 'anomalies', %(columns)s)",),
}
"""What makes each, of a table that is not watched."""


def order(number: int) -> list[str]:
    """Return the setups in the order of a round: each begins with another, so that all suffer from the same."""
    setups = list(SETUPS)
    first = number % len(setups)
    return setups[first:] + setups[:first]


async def set_up(connection: psycopg.AsyncConnection, setup: str, columns: list[str]) -> None:
    """Have the table watched in that way, with these columns."""
    for statement in (UNWATCH, *SETUPS[setup]):
        await connection.execute(statement, {"columns": columns})


async def columns_of(connection: psycopg.AsyncConnection) -> list[str]:
    """Return the columns with which the table is watched as it was made."""
    found = await (await connection.execute(COLUMNS)).fetchone()
    assert found is not None  # noqa: S101 - migrate watches the table
    columns: list[str] = found[0]
    return columns


@contextmanager
def hearing(url: str) -> Iterator[None]:
    """Have a session hear what is announced, as the listener does."""
    over = threading.Event()
    begun = threading.Event()

    def hear() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("LISTEN coherence")
            begun.set()
            while not over.is_set():
                for _ in connection.notifies(timeout=0.1):
                    pass

    thread = threading.Thread(target=hear, name="hearing")
    thread.start()
    try:
        begun.wait()
        yield
    finally:
        over.set()
        thread.join()
