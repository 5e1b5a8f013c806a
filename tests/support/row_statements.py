"""Random statements on a table, of every kind that changes rows."""

# ruff: noqa: S608 - the names of tables and columns stand below

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.support.row_values import IDS, Dice

Statement = tuple[str, Sequence[object]]
"""SQL, and the values for its places."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table, the column that lists are sorted by, and all those that a notification tells of beside the key."""

    name: str
    time: str
    columns: tuple[str, ...]


ANOMALIES = Table("public.anomalies", "detected_at", ("account_id", "status", "score", "detected_at"))
TRANSACTIONS = Table("public.transactions", "occurred_at", ("account_id", "occurred_at"))


class Statements:
    """Statements on one table, in which there are rows with the keys `ids`.

    In a hundred acts some `heavy` ones of each kind change more than a notification can tell of.
    """

    def __init__(self, table: Table, dice: Dice, ids: Sequence[str], *, heavy: int = 1) -> None:
        self.table = table
        self.ids = ids
        self._heavy = heavy
        self._dice = dice
        self._random = dice.random

    def act(self) -> list[Statement]:
        """Return something that happens: mostly one statement."""
        acts: dict[Callable[[], list[Statement]], int] = {
            self._update_one: 30,
            self._update_some: 8,
            self._move: 8,
            self._come: 12,
            self._go: 9,
            self._upsert: 6,
            self._unseen: 5,
            self._rekey: 4,
            self._replace: 4,
            self._swap: 4,
            self._merge: 3,
            self._at_once: 3,
            self._half_rolled_back: 2,
            self._flood: self._heavy,
            self._fat: self._heavy,
            self._many: self._heavy,
            self._empty: self._heavy,
        }
        return self._random.choices(list(acts), weights=list(acts.values()))[0]()

    def insert(self, rows: int, ids: Sequence[str] = ()) -> Statement:
        """Insert so many rows, where their keys are free; `ids` are the keys, if it matters."""
        keys = ids or self._random.sample(IDS, rows)
        values = [value for key in keys for value in (key, *self._values())]
        row = f"(%s, {self._places})"
        return f"INSERT INTO {self._into} VALUES {', '.join([row] * len(keys))} ON CONFLICT DO NOTHING", values

    def delete(self, ids: Sequence[str]) -> Statement:
        """Delete the rows with these keys."""
        return f"DELETE FROM {self.table.name} WHERE transaction_id = ANY (%s)", (list(ids),)

    def tame(self) -> Statement:
        """Delete the rows whose times no other can be compared with."""
        time = self.table.time
        sql = f"""
            DELETE FROM {self.table.name} WHERE {time} IS NULL OR NOT isfinite({time})
            OR {time} < '0001-01-01 00:00:00+00' OR {time} > '9999-12-31 23:59:59.999999+00'
        """
        return sql, ()

    def _update_one(self) -> list[Statement]:
        return [self._update("transaction_id = %s", self._id())]

    def _update_some(self) -> list[Statement]:
        column = self._random.choice(self.table.columns)
        comparison = self._random.choice(("=", ">=")) if column in ("score", self.table.time) else "="
        return [self._update(f"{column} {comparison} %s", self._value(column))]

    def _move(self) -> list[Statement]:
        return [self._update("transaction_id = %s", self._id(), columns=(self.table.time,))]

    def _come(self) -> list[Statement]:
        return [self.insert(self._random.choice((1, 1, 1, 2, 5)))]

    def _go(self) -> list[Statement]:
        return [self.delete([self._id() for _ in range(self._random.choice((1, 1, 1, 4)))])]

    def _upsert(self) -> list[Statement]:
        sql, values = self.insert(3)
        changed = ", ".join(f"{column} = excluded.{column}" for column in self.table.columns)
        return [(sql.replace("DO NOTHING", f"(transaction_id) DO UPDATE SET {changed}"), values)]

    def _unseen(self) -> list[Statement]:
        """Change what a notification does not tell of, or nothing at all."""
        change = self._random.choice(("amount = amount + 1", f"{self.table.time} = {self.table.time}"))
        return [(f"UPDATE {self.table.name} SET {change} WHERE transaction_id = %s", (self._id(),))]

    def _rekey(self) -> list[Statement]:
        key = self._random.choice(IDS)
        free = f"NOT EXISTS (SELECT FROM {self.table.name} WHERE transaction_id = %s)"
        sql = f"UPDATE {self.table.name} SET transaction_id = %s WHERE transaction_id = %s AND {free}"
        return [(sql, (key, self._id(), key))]

    def _replace(self) -> list[Statement]:
        key = self._id()
        return [self.delete([key]), self.insert(1, ids=[key])]

    def _swap(self) -> list[Statement]:
        """Let two rows change places in one statement."""
        time, pair = self.table.time, [self._id(), self._id()]
        sql = f"""
            UPDATE {self.table.name} AS a SET {time} = b.{time} FROM {self.table.name} AS b
            WHERE a.transaction_id = ANY (%s) AND b.transaction_id = ANY (%s) AND a.transaction_id <> b.transaction_id
        """
        return [(sql, (pair, pair))]

    def _merge(self) -> list[Statement]:
        gone, keys = self._id(), [self._id(), *self._random.sample(IDS, 2)]
        sql = f"""
            MERGE INTO {self.table.name} AS t
            USING (SELECT DISTINCT unnest(%s::text[])) AS v (id) ON t.transaction_id = v.id
            WHEN MATCHED AND t.transaction_id = %s THEN DELETE
            WHEN MATCHED THEN UPDATE SET {self.table.time} = %s
            WHEN NOT MATCHED THEN INSERT {self._columns} VALUES (v.id, {self._places})
        """
        return [(sql, ([gone, *keys], gone, self._value(self.table.time), *self._values()))]

    def _at_once(self) -> list[Statement]:
        """Delete a row and give its place to another, in one statement."""
        time = self.table.time
        sql = f"""
            WITH gone AS (DELETE FROM {self.table.name} WHERE transaction_id = %s RETURNING *)
            UPDATE {self.table.name} AS t SET account_id = gone.account_id, {time} = gone.{time} FROM gone
            WHERE t.transaction_id = %s
        """
        return [(sql, (self._id(), self._id()))]

    def _half_rolled_back(self) -> list[Statement]:
        return [*self._come(), ("SAVEPOINT here", ()), *self._go(), ("ROLLBACK TO here", ()), *self._update_one()]

    def _flood(self) -> list[Statement]:
        """Change more rows than a notification tells of, or just not."""
        sql = f"""
            INSERT INTO {self._into} SELECT 'flood-' || i, v.* FROM generate_series(1, %s) AS i,
            (SELECT {", ".join(f"t.{column}" for column in self._told)} FROM {self.table.name} AS t LIMIT 1) AS v
        """
        return [(sql, (self._random.choice((99, 100, 101, 150)),)), self._delete_like("flood-%")]

    def _fat(self) -> list[Statement]:
        """Change rows whose values a notification has no room for."""
        return [self.insert(20, ids=[f"fat-{'x' * 400}-{number}" for number in range(20)]), self._delete_like("fat-%")]

    def _many(self) -> list[Statement]:
        """Change few rows at a time, but again and again."""
        return [self._update("transaction_id = %s", key) for key in (*self.ids, *self.ids)[:120]]

    def _empty(self) -> list[Statement]:
        return [(f"TRUNCATE {self.table.name}", ()), self.insert(60)]

    # -- their parts

    @property
    def _told(self) -> tuple[str, ...]:
        return ("amount", "currency", *self.table.columns)

    @property
    def _columns(self) -> str:
        return f"(transaction_id, {', '.join(self._told)})"

    @property
    def _into(self) -> str:
        return f"{self.table.name} {self._columns}"

    @property
    def _places(self) -> str:
        return ", ".join(["%s"] * len(self._told))

    def _values(self) -> list[object]:
        return [self._random.randrange(1000), "EUR", *map(self._value, self.table.columns)]

    def _id(self) -> str:
        return self._random.choice(self.ids or IDS)

    def _value(self, column: str) -> object:
        match column:
            case "account_id":
                return self._dice.account()
            case "status":
                return self._dice.status()
            case "score":
                return self._dice.score()
        return self._dice.time()

    def _update(self, where: str, value: object, columns: Sequence[str] = ()) -> Statement:
        changed = columns or self._random.sample(self.table.columns, self._random.choice((1, 1, 2)))
        assignments = ", ".join(f"{column} = %s" for column in changed)
        return f"UPDATE {self.table.name} SET {assignments} WHERE {where}", (*map(self._value, changed), value)

    def _delete_like(self, pattern: str) -> Statement:
        return f"DELETE FROM {self.table.name} WHERE transaction_id LIKE %s", (pattern,)
