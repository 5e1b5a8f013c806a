"""The watched tables, their triggers, and the indexes that the API's queries need."""

import re
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import Any

from anomaly_cache.doctor.finding import Finding, failing, ok, warning
from listener.session import Session
from listener.triggers import Watched, look

_INDEXES = """
SELECT name, i.indisvalid
  FROM unnest(%(names)s::text[]) AS name LEFT JOIN pg_index i ON i.indexrelid = to_regclass('public.' || name)
"""


async def tables(session: Session, namespaces: Sequence[str]) -> list[Finding]:
    """Return a finding for each watched table, and for each of `namespaces` that has none."""
    audit = await look(session)
    if audit.failure is not None:
        return [failing("triggers", audit.failure, "run `anomaly-cache migrate --roles` as the owner of the tables")]
    return [*map(_triggers, audit.tables), *map(_unwatched, sorted(set(namespaces) - audit.namespaces))]


def _triggers(table: Watched) -> Finding:
    check = f"triggers of {table.table}"
    if table.problem is None:
        return ok(check, f"all in place; its changes are those of {table.namespace}")
    return failing(check, table.problem, table.remedy or "run `anomaly-cache migrate` as the table's owner")


def _unwatched(namespace: str) -> Finding:
    return failing(
        f"triggers of {namespace}",
        "no table is watched under this namespace: it is never cached",
        f"run `anomaly-cache migrate`, or SELECT coherence.watch('public.{namespace}', '{namespace}')",
    )


async def indexes(session: Session) -> list[Finding]:
    """Return a finding for each index of sql/010_tables.sql that is missing or not valid."""
    wanted = re.findall(r"\('(\w+)', +'public\.", (files("sql") / "010_tables.sql").read_text())
    rows = await session.run(_INDEXES, {"names": wanted})
    return list(_wrong(rows)) or [ok("indexes", f"all {len(rows)} are there")]


def _wrong(rows: Sequence[Sequence[Any]]) -> Iterator[Finding]:
    for name, valid in rows:
        if valid is None:
            yield warning(f"index {name}", "is missing: queries read whole tables", "run `anomaly-cache migrate`")
        elif not valid:
            yield warning(
                f"index {name}", "is not valid: no query uses it", f"REINDEX INDEX CONCURRENTLY public.{name}"
            )
