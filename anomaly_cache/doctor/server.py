"""The Postgres server: its version and place, its notification queue, its connections, and who is in a transaction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from anomaly_cache.doctor.finding import Finding, failing, ok, warning
from listener.session import Session

OLDEST_VERSION = 15
QUEUE_WARNING, QUEUE_FAILING = 0.1, 0.5
CROWDED = 0.9
LONG_SECONDS = 300
MOST_NAMED = 3

# Everybody may see who is connected, if not what they do. The last connections are kept for superusers.
_SERVER = """
SELECT pg_is_in_recovery(), pg_notification_queue_usage(),
       (SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL),
       current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
           - coalesce(current_setting('reserved_connections', true), '0')::integer,
       setting, source, quote_ident(current_user), quote_ident(current_database())
  FROM pg_settings WHERE name = 'default_transaction_isolation'
"""

_MAY_ASK = """
SELECT coalesce(bool_or(has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE')), false)
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE (n.nspname, p.proname) = ('coherence', 'sessions')
"""
_SESSIONS = "SELECT pid, application, state, seconds FROM coherence.sessions() ORDER BY seconds DESC NULLS LAST"
_OWN_SESSIONS = """
SELECT pid, application_name, state, extract(epoch FROM clock_timestamp() - xact_start)::integer
  FROM pg_stat_activity
 WHERE datid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend' AND pid <> pg_backend_pid()
 ORDER BY xact_start
"""

_RESETS = {
    "user": "ALTER ROLE {user} RESET default_transaction_isolation",
    "database": "ALTER DATABASE {database} RESET default_transaction_isolation",
    "database user": "ALTER ROLE {user} IN DATABASE {database} RESET default_transaction_isolation",
    "client": "take default_transaction_isolation out of the URL's options, and of PGOPTIONS",
}
_RESET_SERVER = "ALTER SYSTEM SET default_transaction_isolation = 'read committed'; SELECT pg_reload_conf()"


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody's session. `seconds` is how long it has been in its transaction; `state` is None where it is hidden."""

    pid: int
    application: str
    state: str | None
    seconds: int | None

    @property
    def name(self) -> str:
        """What to call it."""
        return f"process {self.pid} ({self.application or 'unnamed'}, {self.state})"


async def server(session: Session) -> list[Finding]:
    """Return what there is to say of the server that the session is with."""
    standby, queue, used, limit, isolation, source, user, database = (await session.run(_SERVER))[0]
    may_ask = (await session.run(_MAY_ASK))[0][0]
    clients = [Client(*row) for row in await session.run(_SESSIONS if may_ask else _OWN_SESSIONS)]
    reset = _RESETS.get(source, _RESET_SERVER).format(user=user, database=database)
    return [
        _version(session),
        _primary(standby=standby),
        _queue(queue, clients),
        _connections(used, limit),
        *([] if isolation == "read committed" else [_isolation(isolation, reset)]),
        *_long(clients),
    ]


def _version(session: Session) -> Finding:
    info = session.connection.info
    text = f"version {info.parameter_status('server_version')}"
    if info.server_version // 10000 < OLDEST_VERSION:
        return failing("postgres", text, f"upgrade the server to Postgres {OLDEST_VERSION} or newer")
    return ok("postgres", text)


def _primary(*, standby: bool) -> Finding:
    if not standby:
        return ok("primary", "it is the primary")
    return failing(
        "primary",
        "it is a standby: it shows commits later than the listener hears of them",
        "point DATABASE_URL at the primary (with several hosts in the URL, add target_session_attrs=read-write)",
    )


def _queue(usage: float, clients: Sequence[Client]) -> Finding:
    detail = f"{usage:.1%} full"
    if usage < QUEUE_WARNING:
        return ok("notification queue", detail)
    detail += ": a session that has LISTENed sits in a transaction"
    suspect = next((each for each in clients if each.seconds is not None), None)
    if suspect is None:
        remedy = (
            "as a superuser: SELECT pid, state, application_name FROM pg_stat_activity WHERE xact_start IS NOT NULL "
            "ORDER BY xact_start; then SELECT pg_terminate_backend(pid) of the first"
        )
    else:
        detail += f", most likely {suspect.name}"
        remedy = f"SELECT pg_terminate_backend({suspect.pid})"
    if usage < QUEUE_FAILING:
        return warning("notification queue", detail, remedy)
    return failing("notification queue", f"{detail}. When it is full, writers fail", remedy)


def _connections(used: int, limit: int) -> Finding:
    detail = f"{used} of {limit} are in use"
    if used <= limit * CROWDED:
        return ok("connections", detail)
    return warning(
        "connections",
        detail,
        f"lower DB_POOL_SIZE of the API processes, or ALTER SYSTEM SET max_connections = {2 * limit} and restart",
    )


def _isolation(level: str, reset: str) -> Finding:
    return warning(
        "isolation",
        f"default_transaction_isolation is {level}: writers may fail, and see older rows than they think. "
        "(The API and the listener set their own.)",
        f"{reset}, unless your writers mean it",
    )


def _long(clients: Sequence[Client]) -> Iterator[Finding]:
    old = [each for each in clients if each.seconds is not None and each.seconds >= LONG_SECONDS]
    for each in old[:MOST_NAMED]:
        yield warning(
            "long transaction",
            f"{each.name} is in one since {(each.seconds or 0) // 60} minutes",
            f"SELECT pg_terminate_backend({each.pid}), unless it is at work",
        )
    hidden = sum(each.state is None for each in clients)
    if not old:
        seen = (
            f"none of over {LONG_SECONDS // 60} minutes; looked at {len(clients) - hidden} of {len(clients)} sessions"
        )
        yield ok("long transaction", seen)
