"""Postgres: whether it can be reached, is the one to ask, and lets a listener hear."""

from collections.abc import Iterator, Sequence
from typing import Any

from anomaly_cache.doctor.finding import Finding, failing, ok, warning
from anomaly_cache.doctor.privileges import of_the_api, of_the_listener
from anomaly_cache.doctor.tables import indexes, tables
from listener.session import SessionLost, StatementFailed, open_session
from listener.source import Unsuitable, open_source

OLDEST_VERSION = 15
SECONDS = 5.0
QUEUE_WARNING, QUEUE_FAILING = 0.1, 0.5
LONG_MINUTES = 5

_SERVER = """
SELECT current_setting('server_version_num')::integer / 10000, current_setting('server_version'),
       pg_is_in_recovery(), pg_notification_queue_usage(), current_setting('max_connections')::integer,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
       current_setting('default_transaction_isolation')
"""

_LONG = """
SELECT pid, application_name, extract(epoch FROM now() - xact_start)::integer
  FROM pg_stat_activity
 WHERE xact_start < now() - make_interval(mins => %(minutes)s) AND pid <> pg_backend_pid()
 ORDER BY xact_start LIMIT 3
"""


async def of_api(url: str) -> list[Finding]:
    """Return what there is to say of the Postgres that the API reads from."""
    found: list[Finding] = []
    try:
        async with open_session(url, limit=SECONDS, name="anomaly-cache doctor") as session:
            found += _server((await session.run(_SERVER))[0])
            found += _long(await session.run(_LONG, {"minutes": LONG_MINUTES}))
            found += await indexes(session)
            found += await of_the_api(session)
    except SessionLost as error:
        found.append(failing("postgres", f"cannot be reached: {error}", "check DATABASE_URL, and that Postgres runs"))
    except StatementFailed as error:
        found.append(failing("postgres", f"refuses to tell: {error}", "check the rights of DATABASE_URL's user"))
    return found


async def of_listener(url: str, namespaces: Sequence[str]) -> list[Finding]:
    """Return what there is to say of the Postgres that the listener hears, and of what it is told there."""
    found: list[Finding] = []
    try:
        async with open_session(url, limit=SECONDS, name="anomaly-cache doctor") as session:
            found.append(await _hears(url))
            found += await tables(session, namespaces)
            found += await of_the_listener(session)
    except SessionLost as error:
        remedy = "check LISTENER_DATABASE_URL (DATABASE_URL where it is not set), and that Postgres runs"
        found.append(failing("listen", f"the listener cannot reach Postgres: {error}", remedy))
    except StatementFailed as error:
        found.append(failing("listen", f"Postgres refuses to tell: {error}", "check the rights of the listener's user"))
    return found


async def _hears(url: str) -> Finding:
    try:
        async with open_source(url, limit=SECONDS):
            return ok("listen", "a notification of another session arrives")
    except Unsuitable as error:
        detail, _, remedy = str(error).partition(": ")
        return failing("listen", detail, remedy)


def _server(row: Sequence[Any]) -> Iterator[Finding]:
    major, version, standby, queue, limit, used, isolation = row
    if major < OLDEST_VERSION:
        yield failing("postgres", f"version {version}", f"upgrade to Postgres {OLDEST_VERSION} or newer")
    else:
        yield ok("postgres", f"version {version}")
    if standby:
        yield failing(
            "primary",
            "it is a standby: it shows commits later than the listener hears of them",
            "point DATABASE_URL at the primary (with several hosts in the URL, add target_session_attrs=read-write)",
        )
    else:
        yield ok("primary", "it is the primary")
    yield _queue(queue)
    if used > limit * 0.9:
        yield warning("connections", f"{used} of {limit} are in use", "raise max_connections, or lower DB_POOL_SIZE")
    else:
        yield ok("connections", f"{used} of {limit} are in use")
    if isolation != "read committed":
        yield warning(
            "isolation",
            f"default_transaction_isolation is {isolation}: writers may fail, and see older rows than they think",
            "the API and the listener set their own; see that your writers mean it",
        )


def _queue(usage: float) -> Finding:
    detail = f"{usage:.1%} full"
    remedy = "end the session that has LISTENed and sits in a transaction (see the long transactions)"
    if usage >= QUEUE_FAILING:
        return failing("notification queue", f"{detail}: when it is full, writers fail", remedy)
    if usage >= QUEUE_WARNING:
        return warning("notification queue", detail, remedy)
    return ok("notification queue", detail)


def _long(rows: Sequence[Sequence[Any]]) -> Iterator[Finding]:
    for pid, application, seconds in rows:
        yield warning(
            "long transaction",
            f"process {pid} ({application or 'unnamed'}) is in one since {seconds // 60} minutes",
            f"end it where it is idle: SELECT pg_terminate_backend({pid})",
        )
    if not rows:
        yield ok("long transaction", f"none of over {LONG_MINUTES} minutes that this user can see")
