"""Show a setting without the secret in it."""

from urllib.parse import urlsplit, urlunsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

HIDDEN = "********"


def masked(value: object) -> str:
    """Return a setting's value as text for a person, any secret replaced by asterisks.

    Of a URL all but the password is shown, of `role=key,role=key` the roles, of any other secret nothing.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, SecretStr):
        return str(value)
    secret = value.get_secret_value()
    if "://" in secret:
        return _masked_url(secret)
    parts = [part.partition("=") for part in secret.split(",")]
    if all(equals for _, equals, _ in parts):
        return _masked_conninfo(secret) or ",".join(f"{role.strip()}={HIDDEN}" for role, _, _ in parts)
    return HIDDEN


def _masked_url(secret: str) -> str:
    try:
        parts = urlsplit(secret)
    except ValueError:
        return HIDDEN
    if "@" in parts.path + parts.query + parts.fragment:
        return HIDDEN  # a password with a bare / ? or # in it: there is no telling where it ends
    credentials, at, address = parts.netloc.rpartition("@")
    user, colon, _ = credentials.partition(":")
    netloc = f"{user}:{HIDDEN}@{address}" if colon else f"{credentials}{at}{address}"
    options = [option.partition("=") for option in parts.query.split("&") if option]
    query = "&".join(f"{name}={HIDDEN if 'password' in name.lower() else value}" for name, _, value in options)
    return urlunsplit(parts._replace(netloc=netloc, query=query))


def _masked_conninfo(secret: str) -> str | None:
    """Return libpq's `host=… password=…` without the passwords; None if it is nothing of the kind."""
    try:
        settings = conninfo_to_dict(secret)
    except ProgrammingError:
        return None
    shown = {name: HIDDEN if "password" in name else str(value) for name, value in settings.items()}
    return make_conninfo("", **shown)
