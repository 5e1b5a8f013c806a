"""What the two roles may do: enough for their work, and no more."""

from anomaly_cache.doctor.finding import Finding, failing, ok, warning
from listener.session import Session

_API = """
SELECT current_user,
       array_remove(ARRAY[
           CASE WHEN NOT has_table_privilege('public.anomalies', 'SELECT') THEN 'SELECT on anomalies' END,
           CASE WHEN NOT has_table_privilege('public.transactions', 'SELECT') THEN 'SELECT on transactions' END,
           CASE WHEN NOT has_column_privilege('public.anomalies', 'status', 'UPDATE')
                THEN 'UPDATE of anomalies.status' END,
           CASE WHEN NOT has_column_privilege('public.anomalies', 'updated_at', 'UPDATE')
                THEN 'UPDATE of anomalies.updated_at' END], NULL),
       array_remove(ARRAY[
           CASE WHEN (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN 'everything' END,
           CASE WHEN has_table_privilege('public.anomalies', 'TRIGGER') THEN 'drop the triggers' END,
           CASE WHEN has_table_privilege('public.anomalies', 'DELETE') THEN 'delete anomalies' END,
           CASE WHEN has_schema_privilege('public', 'CREATE') THEN 'create tables' END], NULL)
"""

_LISTENER = """
SELECT current_user,
       array_remove(ARRAY[
           CASE WHEN NOT has_schema_privilege('coherence', 'USAGE') THEN 'USAGE of schema coherence' END,
           CASE WHEN NOT has_table_privilege('coherence.watched', 'SELECT') THEN 'SELECT on coherence.watched' END,
           CASE WHEN NOT has_function_privilege('coherence.audit()', 'EXECUTE')
                THEN 'EXECUTE of coherence.audit' END], NULL),
       array_remove(ARRAY[
           CASE WHEN (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN 'everything' END,
           CASE WHEN has_table_privilege('public.anomalies', 'SELECT') THEN 'read anomalies' END,
           CASE WHEN has_table_privilege('public.anomalies', 'UPDATE') THEN 'change anomalies' END,
           CASE WHEN has_schema_privilege('public', 'CREATE') THEN 'create tables' END], NULL)
"""

_INSTALLED = "SELECT to_regclass('public.anomalies') IS NOT NULL AND to_regclass('coherence.watched') IS NOT NULL"


async def of_the_api(session: Session) -> list[Finding]:
    """Return whether the session's user has the rights that the API needs, and which it should not have."""
    return await _compare(session, _API, role="anomaly_api", program="api")


async def of_the_listener(session: Session) -> list[Finding]:
    """Return whether the session's user has the rights that the listener needs, and which it should not have."""
    return await _compare(session, _LISTENER, role="anomaly_listener", program="listener")


async def _compare(session: Session, statement: str, *, role: str, program: str) -> list[Finding]:
    check = f"rights of the {program}"
    if not (await session.run(_INSTALLED))[0][0]:
        return [failing(check, "there are no tables yet", "run `anomaly-cache migrate`")]
    user, missing, more = (await session.run(statement))[0]
    found = []
    if missing:
        found.append(failing(check, f"{user} lacks {', '.join(missing)}", f'GRANT {role} TO "{user}"'))
    if more:
        remedy = f"log the {program} in as {role}: `anomaly-cache migrate --roles` makes it"
        found.append(warning(check, f"{user} may also {', '.join(more)}", remedy))
    return found or [ok(check, f"{user} may do what it must, and no more")]
