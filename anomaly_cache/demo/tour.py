"""The tour: a miss, a hit, a change behind the API's back, a fresh answer from both replicas."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from anomaly_cache.demo.database import NAME
from anomaly_cache.demo.screen import say, show
from anomaly_cache.demo.servers import Servers
from anomaly_cache.demo.state import Secrets, write_private
from anomaly_cache.servers.binaries import find_psql


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything of a running demo is."""

    state: Path
    replicas: list[str]
    listener: str
    servers: Servers


def print_places(places: Places, secrets: Secrets) -> None:
    """Print the addresses and keys."""
    say()
    for name, value in (
        *((f"API replica {number}", url) for number, url in enumerate(places.replicas, start=1)),
        ("listener", f"{places.listener}/readyz"),
        ("metrics", f"{places.replicas[0]}/metrics"),
        ("analyst's key", secrets.analyst_key),
        ("admin's key", secrets.admin_key),
        ("logs", shortened(places.state / "logs")),
        ("Postgres", f"127.0.0.1:{places.servers.postgres.port}"),
        ("Valkey", f"127.0.0.1:{places.servers.valkey.port}"),
    ):
        show(f"{name:<14} {value}")


def print_tour(places: Places, secrets: Secrets, transaction_id: str) -> None:
    """Print the commands of the tour, ready to paste."""
    path = f"/api/v1/anomalies/{transaction_id}"
    curl = [f"curl -si -H 'X-API-Key: {secrets.analyst_key}' {url}{path}" for url in places.replicas]
    update = f"UPDATE anomalies SET status = 'CONFIRMED' WHERE transaction_id = '{transaction_id}'"  # noqa: S608 - shown
    say()
    say("A tour, for another terminal. Watch the Cache-Status header and the status.")
    _step(1, "A miss: the answer comes from Postgres (fwd=uri-miss).", curl[:1])
    _step(2, "The same again, a hit: it comes from the process' own memory (detail=l1).", curl[:1])
    _step(3, "Change the row behind the API's back.", [f"{_psql(places, secrets)} -c {_quoted(update)}"])
    _step(4, "Fresh from both replicas, at once.", curl)


def _step(number: int, text: str, commands: list[str]) -> None:
    say()
    say(f"{number}. {text}")
    for command in commands:
        show(command)


def _psql(places: Places, secrets: Secrets) -> str:
    """Return a short command that is psql in the demo's database; the password is in none of its arguments."""
    binary = find_psql() or "psql"
    service = places.state / "pg_service.conf"
    port = places.servers.postgres.port
    write_private(
        service,
        f"[demo]\nhost=127.0.0.1\nport={port}\ndbname={NAME}\nuser=postgres\npassword={secrets.postgres}\nsslmode=disable\n",
    )
    script = places.state / "psql"
    write_private(
        script,
        "#!/bin/sh\n# psql in the demo's database, as its owner.\n"
        f'PGSERVICEFILE={shlex.quote(str(service))} PGSERVICE=demo exec {shlex.quote(str(binary))} "$@"\n',
        mode=0o700,
    )
    return shlex.quote(str(script))  # whole: the other terminal may be in another directory


def shortened(path: Path) -> str:
    """Return a path as seen from here, where that is shorter."""
    relative = os.path.relpath(path)
    return min(str(path), relative, key=len)


def _quoted(statement: str) -> str:
    """Quote for the shell; a statement has single quotes, so double ones read better."""
    return shlex.quote(statement) if any(each in statement for each in '"$`\\!') else f'"{statement}"'
