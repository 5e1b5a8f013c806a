"""Random transactions on the two tables, in sessions with whatever settings."""

from collections import deque
from collections.abc import Sequence
from random import Random

import psycopg

from tests.support.row_statements import ANOMALIES, TRANSACTIONS, Statement, Statements, Table
from tests.support.row_values import Dice

LOOSEN = """
ALTER TABLE public.anomalies DROP CONSTRAINT anomalies_score_check, DROP CONSTRAINT anomalies_status_check,
    DROP CONSTRAINT anomalies_detected_at_check, ALTER account_id DROP NOT NULL, ALTER score DROP NOT NULL,
    ALTER status DROP NOT NULL, ALTER detected_at DROP NOT NULL;
ALTER TABLE public.transactions DROP CONSTRAINT transactions_occurred_at_check,
    ALTER account_id DROP NOT NULL, ALTER occurred_at DROP NOT NULL;
"""
"""Lets the tables take the values that wild dice throw."""

SHADOWS = """
CREATE SCHEMA shadow;
CREATE FUNCTION shadow.to_jsonb(anyelement) RETURNS jsonb LANGUAGE sql AS $$ SELECT '{}'::jsonb $$;
CREATE FUNCTION shadow.pg_notify(text, text) RETURNS void LANGUAGE sql AS $$ SELECT $$;
"""
"""Functions that a session may have before the system's in its search_path."""

SESSIONS: tuple[tuple[str, ...], ...] = (
    ("TimeZone = 'Asia/Kathmandu'",),
    ("TimeZone = 'America/St_Johns'", "DateStyle = 'SQL, DMY'"),
    ("extra_float_digits = -15",),
    ("extra_float_digits = 0", "DateStyle = 'German'", "IntervalStyle = 'sql_standard'"),
    ("search_path = shadow, pg_catalog, public",),
    ("session_replication_role = replica",),
    ("session_replication_role = replica", "extra_float_digits = -3", "TimeZone = 'Asia/Tokyo'"),
    ("coherence.rows = '-7'",),
    ("coherence.rows = '95'",),
)
"""Settings that a writer's session may have."""

COLUMNS = (
    "{transaction_id,account_id,status,score,detected_at}",
    "{transaction_id,account_id,detected_at}",
    "{transaction_id,status,score}",
    "{}",
)
"""What the notifications may tell of; the first is what they do tell of."""

FEWEST, MOST = 45, 110
"""Bounds of a table's rows, past which it is filled up or thinned out again."""


class Writer:
    """Writes through a session of its own. `log` has its latest statements.

    `wild` is the share of values that tables take only without their constraints, `strange` that of transactions with
    settings of their own; `heavy` is how often there are large changes.
    """

    def __init__(
        self, connection: psycopg.AsyncConnection, random: Random, *, wild: float, strange: float, heavy: int
    ) -> None:
        self._connection = connection
        self._random = random
        self._dice = Dice(random, wild=wild)
        self._strange = strange
        self._heavy = heavy
        self.log: deque[str] = deque(maxlen=100)

    async def prepare(self) -> None:
        """Give both tables their first rows, and the database what sessions may stumble over."""
        await self._connection.execute(SHADOWS)
        if self._dice.wild:
            await self._connection.execute(LOOSEN)
        for table in (ANOMALIES, TRANSACTIONS):
            await self._run([Statements(table, self._dice, []).insert(70)])

    async def transaction(self) -> None:
        """Run a random transaction on one of the tables."""
        chance = self._dice.chance
        statements = await self._statements(ANOMALIES if chance(0.8) else TRANSACTIONS)
        ids = statements.ids
        doings: list[Statement] = []
        if chance(self._strange):
            doings += [(f"SET LOCAL {setting}", ()) for setting in self._random.choice(SESSIONS)]
        for _ in range(1 if chance(0.75) else 3):
            doings += statements.act()
        if len(ids) > MOST:
            doings.append(statements.delete(self._random.sample(ids, len(ids) - FEWEST)))
        elif len(ids) < FEWEST:
            doings.append(statements.insert(20))
        if self._dice.wild and chance(0.3):
            doings.append(statements.tame())
        await self._run(doings)

    async def tell_of(self, columns: str) -> None:
        """Have the notifications of anomalies tell of these columns from now on."""
        await self._run([("SELECT coherence.watch('public.anomalies', 'anomalies', %s)", (columns,))])

    async def _statements(self, table: Table) -> Statements:
        query = f"SELECT transaction_id FROM {table.name} ORDER BY 1"  # noqa: S608 - our own table
        cursor = await self._connection.execute(query.encode())
        return Statements(table, self._dice, [row[0] for row in await cursor.fetchall()], heavy=self._heavy)

    async def _run(self, doings: Sequence[Statement]) -> None:
        async with self._connection.transaction():
            for sql, values in doings:
                self.log.append(f"{sql} -- {list(values)}")
                await self._connection.execute(sql.encode(), values or None)
        self.log.append("COMMIT")
