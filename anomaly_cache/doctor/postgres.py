"""Postgres: whether it can be reached, and lets a listener hear; what is found there is for others to say."""

from collections.abc import Sequence

from anomaly_cache.doctor.finding import Finding, failing, ok
from anomaly_cache.doctor.privileges import API, LISTENER, rights
from anomaly_cache.doctor.server import server
from anomaly_cache.doctor.tables import indexes, tables
from listener.session import SessionLost, StatementFailed, open_session
from listener.source import Unsuitable, open_source

SECONDS = 5.0
NAME = "anomaly-cache doctor"

_FULL = ("too many clients", "too many connections", "remaining connection slots")


async def of_api(url: str) -> list[Finding]:
    """Return what there is to say of the Postgres that the API reads from."""
    found: list[Finding] = []
    try:
        async with open_session(url, limit=SECONDS, name=NAME) as session:
            found += await server(session)
            found += await indexes(session)
            found += await rights(session, API)
    except SessionLost as error:
        found.append(_unreachable("postgres", str(error), "DATABASE_URL"))
    except StatementFailed as error:
        found.append(_untold("postgres", error, API.role))
    return found


async def of_listener(url: str, namespaces: Sequence[str], *, alone: bool) -> list[Finding]:
    """Return what there is to say of the Postgres that the listener hears, and of what it is told there.

    `alone`: the server itself is looked at here, for the API's is not.
    """
    found: list[Finding] = []
    try:
        async with open_session(url, limit=SECONDS, name=NAME) as session:
            found += await server(session) if alone else []
            found.append(await _hears(url))
            found += await tables(session, namespaces)
            found += await rights(session, LISTENER)
    except SessionLost as error:
        found.append(_unreachable("listen", str(error), "LISTENER_DATABASE_URL, or DATABASE_URL where that is not set"))
    except StatementFailed as error:
        found.append(_untold("listen", error, LISTENER.role))
    return found


async def _hears(url: str) -> Finding:
    try:
        async with open_source(url, limit=SECONDS):
            return ok("listen", "a notification of another session arrives")
    except Unsuitable as error:
        detail, _, remedy = str(error).partition(": ")
        return failing("listen", detail, remedy)


def _unreachable(check: str, reason: str, variable: str) -> Finding:
    if any(words in reason for words in _FULL):
        remedy = "lower DB_POOL_SIZE of the API processes, or raise max_connections and restart Postgres"
        return failing(check, f"has no connection left: {reason}", remedy)
    remedy = f"start Postgres, or correct the host, port, user, password or database in {variable}"
    return failing(check, f"cannot be reached: {reason}", remedy)


def _untold(check: str, error: StatementFailed, role: str) -> Finding:
    return failing(check, f"refuses to tell: {error}", f"log in as {role}, which `anomaly-cache migrate --roles` makes")
