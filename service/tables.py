"""The tables that are read: what is shown of a row, how lists are sorted, and how parameters narrow them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from coherence.rows import AtLeast, Equals

Row = Sequence[Any]
"""What Postgres answers: see `Table.as_json` and `Table.as_page`."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its key, what answers show of a row, and the time by which lists are sorted, the newest first."""

    name: str
    key: str
    row: type[BaseModel]
    newest_by: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that answers show."""
        return tuple(self.row.model_fields)

    @property
    def column_list(self) -> str:
        """The columns as SQL."""
        return ", ".join(self.columns)

    @property
    def order(self) -> str:
        """The order of lists as SQL. Every row has its place in it."""
        return f"{self.newest_by} DESC, {self.key}"

    def rows(self, conditions: Sequence[str], tail: str = "") -> str:
        """Return the SELECT of the rows that match all `conditions`; `tail` is what follows them."""
        where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
        return f"SELECT {self.column_list} FROM {self.name} {where}{tail}".rstrip()  # noqa: S608 - no input

    def as_json(self, rows: str) -> str:
        """Return the SELECT of `rows`, themselves a SELECT, as JSON: the one form of a row."""
        return f"SELECT row_to_json(r) FROM ({rows}) AS r"  # noqa: S608 - no input

    def as_page(self, rows: str) -> str:
        """Return the SELECT of `rows`, which are in their order, as one row: what a page is made of.

        It has the rows' JSON parted by commas, as UTF-8 (NULL where there are none), their number, the sort values of
        the first and the last one, as JSON writes them, and the last one's key.
        """
        times = f"array_agg(r.{self.newest_by})"
        return f"""
SELECT convert_to(string_agg(row_to_json(r)::text, ','), 'UTF8'), count(*),
       to_jsonb(({times})[1]) #>> '{{}}', to_jsonb(({times})[count(*)]) #>> '{{}}',
       (array_agg(r.{self.key}))[count(*)]
FROM ({rows}) AS r
"""  # noqa: S608 - no input

    def rows_behind(self, conditions: Sequence[str], tail: str, *, null: bool) -> str:
        """Return the SELECT of the rows behind a place, in order, `tail` being LIMIT.

        The place is in the parameters `after` and `after_key`; `null` says that it is among the rows without a sort
        value, which come first. Rows level with it, and those below, are each read from an index in their order.
        """
        time = self.newest_by
        level, below = (f"{time} = %(after)s", f"{time} < %(after)s")
        if null:
            level, below = f"{time} IS NULL", f"{time} IS NOT NULL"
        tail = f"ORDER BY {self.order} {tail}"
        parts = ([*conditions, level, f"{self.key} > %(after_key)s"], [*conditions, below])
        return " UNION ALL ".join(f"({self.rows(part, tail)})" for part in parts) + f" {tail}"


@dataclass(frozen=True, slots=True)
class Filter:
    """How a parameter narrows the rows: in SQL, and for a changed row."""

    column: str
    kind: type[Equals] | type[AtLeast] = Equals

    def sql(self, parameter: str) -> str:
        """Return the condition on the column, with a named place for the parameter."""
        return f"{self.column} {'=' if self.kind is Equals else '>='} %({parameter})s"

    def condition(self, value: Any) -> Equals | AtLeast:
        """Return the condition for a value of the parameter."""
        return self.kind(self.column, value)
