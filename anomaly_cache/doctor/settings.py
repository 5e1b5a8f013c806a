"""The settings: whether the programs would start with them, and which are dangerous. Nothing is connected to."""

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

from psycopg.conninfo import conninfo_to_dict

from anomaly_cache.config import load_all
from anomaly_cache.doctor.finding import Finding, failing, ok, warning
from coherence.commands import AT_ONCE
from coherence.settings import CoherenceSettings
from listener.settings import ListenerSettings
from service.auth import entries_of
from service.settings import ServiceSettings

WELL_KNOWN = ("change", "secret", "example", "password", "test-key", "demo", "12345", "default", "your-")
"""What keys contain that were copied from a page or made up in a hurry."""

LEAST_CONNECTIONS = AT_ONCE + 1
"""Of these, commands on entries share all but one, however many loads there are."""

ENCRYPTED = frozenset({"require", "verify-ca", "verify-full"})


def load(names: list[str]) -> tuple[dict[str, CoherenceSettings], list[Finding]]:
    """Return the settings of these programs that can be loaded, and what is wrong with the others."""
    loaded, complaints = load_all(names)
    found = [failing("settings", line, _remedy(line)) for line in complaints.splitlines()]
    if not found:
        found.append(ok("settings", f"{' and '.join(names)} would start with them"))
    return loaded, found


def _remedy(complaint: str) -> str:
    variable, colon, _ = complaint.partition(":")
    return f"set {variable} in the environment or in .env" if colon else "see `anomaly-cache config`"


def dangers(loaded: dict[str, CoherenceSettings]) -> Iterator[Finding]:
    """Yield what is dangerous in settings that are valid."""
    shared = next(iter(loaded.values()))
    yield from _redis(shared)
    for name, settings in loaded.items():
        yield from _postgres(name, settings)
        if isinstance(settings, ServiceSettings):
            yield from _api(settings)


def _redis(settings: CoherenceSettings) -> Iterator[Finding]:
    url = settings.redis_url.get_secret_value() if settings.redis_url else ""
    parts = urlsplit(url)
    host = parts.hostname if url else settings.redis_host
    password = parts.password if url else settings.redis_password
    if parts.scheme == "unix" or is_local(host):
        yield ok("redis connection", "stays on this machine")
        return
    if parts.scheme != "rediss":
        yield warning(
            "redis connection",
            f"goes to {host} in plain text: whoever is in between can read answers and forge them",
            "use a rediss:// URL in REDIS_URL, or a network that is this system's alone",
        )
    if not password:
        yield failing(
            "redis password",
            f"{host} is asked without one: whoever reaches it can forge answers",
            "set a password in Redis and in REDIS_PASSWORD or REDIS_URL",
        )


def _postgres(name: str, settings: CoherenceSettings) -> Iterator[Finding]:
    if isinstance(settings, ListenerSettings):
        secret = settings.source_url
    elif isinstance(settings, ServiceSettings):
        secret = settings.database_url.get_secret_value()
    else:
        return
    target = conninfo_to_dict(secret)
    host = str(target.get("host") or "localhost")
    mode = str(target.get("sslmode") or "prefer")
    if not is_local(host) and mode not in ENCRYPTED:
        yield warning(
            "postgres connection",
            f"of the {name} goes to {host}, encrypted only if the server likes (sslmode={mode})",
            "add sslmode=verify-full to the URL",
        )


def _api(settings: ServiceSettings) -> Iterator[Finding]:
    yield from _keys(settings.keys_text)
    if not settings.cache_enabled:
        yield warning("cache", "is turned off: every request goes to Postgres", "set CACHE_ENABLED=true")
    if settings.cache_on_lease_loss == "ttl":
        yield warning(
            "lease loss",
            "answers may be as old as their TTL when no listener vouches for them",
            "set CACHE_ON_LEASE_LOSS=bypass, unless that is what you want",
        )
    if settings.cache_stale_if_error_seconds > 0:
        yield warning(
            "stale if error",
            f"answers may be {settings.cache_stale_if_error_seconds:g} s old when Postgres cannot be read",
            "set CACHE_STALE_IF_ERROR_SECONDS=0, unless that is what you want",
        )
    if settings.redis_pool_size < LEAST_CONNECTIONS:
        yield warning(
            "redis pool",
            f"{settings.redis_pool_size}, and a process makes up to {LEAST_CONNECTIONS} connections all the same",
            f"set REDIS_POOL_SIZE={LEAST_CONNECTIONS} or more, and count on it",
        )


def _keys(text: str) -> Iterator[Finding]:
    entries = [entry.partition("=") for entry in entries_of(text)]
    weak = [
        role.strip()
        for role, _, key in entries
        if any(word in key.lower() for word in WELL_KNOWN) or len(set(key.strip())) < len(key.strip()) / 4
    ]
    if weak:
        yield failing(
            "api keys",
            f"a key of {', '.join(sorted(set(weak)))} looks like a default or can be guessed",
            "make another, such as `openssl rand -hex 24` prints",
        )
    else:
        yield ok("api keys", f"{len(entries)}, none that is well known")


def is_local(host: str | None) -> bool:
    """Tell whether all hosts of a URL's host part are this machine."""
    return all(_is_loopback(each.strip("[]")) for each in (host or "localhost").split(","))


def _is_loopback(host: str) -> bool:
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
