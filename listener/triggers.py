"""The audit: whether the triggers, which announce changes, are in place on every watched table, and untouched."""

from collections.abc import Iterable
from dataclasses import dataclass

from coherence.changes import Change
from listener.session import Session, StatementFailed

_NOT_INSTALLED = frozenset({"3F000", "42P01", "42883", "42703"})
_FORBIDDEN = "42501"

# Prepared, which saves most of its time; the casts keep the result's types whatever becomes of the view.
_AUDIT = """
SELECT pg_notification_queue_usage(),
       w.table_name::text, w.namespace::text, w.problem::text, w.remedy::text, w.fingerprint::text
  FROM (SELECT) AS one LEFT JOIN coherence.watched w ON true
"""


@dataclass(frozen=True, slots=True)
class Watched:
    """A watched table. `problem` is None while its triggers are all in place; any change alters `fingerprint`."""

    table: str
    namespace: str
    problem: str | None
    remedy: str | None
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Audit:
    """What one look at the triggers told. `failure` says why it told nothing; there are no tables then."""

    tables: tuple[Watched, ...]
    queue_usage: float = 0.0
    """How full Postgres' notification queue is, from 0 to 1. A full one fails writers."""
    failure: str | None = None

    @property
    def namespaces(self) -> frozenset[str]:
        """The namespaces of the watched tables."""
        return frozenset(table.namespace for table in self.tables)

    @property
    def problem(self) -> str | None:
        """Why changes may go by unannounced, and what helps; None if every one is announced."""
        if self.failure is not None:
            return self.failure
        if not self.tables:
            return "no table is watched: run SELECT coherence.watch('<table>', '<namespace>') for each that is cached"
        return " | ".join(_complaint(table) for table in self.tables if table.problem is not None) or None


def difference(earlier: Audit, later: Audit) -> Iterable[Change]:
    """Return a change for each namespace whose tables or triggers are not what they were."""
    for namespace in sorted(earlier.namespaces | later.namespaces):
        if _state(earlier, namespace) != _state(later, namespace):
            yield Change(namespace, "triggers", 0)


def _state(audit: Audit, namespace: str) -> frozenset[Watched]:
    return frozenset(table for table in audit.tables if table.namespace == namespace)


async def look(session: Session) -> Audit:
    """Look at the triggers. Raises SessionLost; any other failure is the audit's."""
    try:
        rows = await session.run(_AUDIT)
    except StatementFailed as error:
        return Audit((), failure=_explain(error))
    return Audit(
        tuple(Watched(*watched) for _, *watched in rows if watched[0] is not None), queue_usage=float(rows[0][0])
    )


def _complaint(table: Watched) -> str:
    remedy = f"; run {table.remedy}" if table.remedy else ""
    return f"{table.table} ({table.namespace}): {table.problem}{remedy}"


def _explain(error: StatementFailed) -> str:
    if error.sqlstate in _NOT_INSTALLED:
        return f"schema coherence is missing or too old ({error}): apply sql/ (anomaly-cache migrate)"
    if error.sqlstate == _FORBIDDEN:
        return f"the listener's role may not read coherence.watched ({error}): grant it anomaly_listener"
    return f"the triggers cannot be looked at: {error}"
