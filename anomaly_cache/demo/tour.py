"""The tour: a miss, a hit, a change behind the API's back, a fresh answer from both replicas."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from anomaly_cache.demo.screen import say, show
from anomaly_cache.demo.servers import Servers
from anomaly_cache.demo.shell import shortened, write_environment, write_psql
from anomaly_cache.demo.state import Secrets


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything of a running demo is."""

    state: Path
    replicas: list[str]
    listener: str
    servers: Servers


def print_places(places: Places, secrets: Secrets) -> None:
    """Print the addresses and keys, and write them down for other terminals."""
    environment = write_environment(
        places.state, places.servers, secrets, replicas=places.replicas, listener=places.listener
    )
    say()
    for name, value in (
        *((f"API replica {number}", url) for number, url in enumerate(places.replicas, start=1)),
        ("console", f"{places.replicas[0]}/console"),
        ("listener", f"{places.listener}/readyz"),
        ("metrics", f"{places.replicas[0]}/metrics"),
        ("analyst's key", secrets.analyst_key),
        ("admin's key", secrets.admin_key),
        ("logs", shortened(places.state / "logs")),
        ("Postgres", f"127.0.0.1:{places.servers.postgres.port}"),
        ("Valkey", f"127.0.0.1:{places.servers.valkey.port}"),
        ("for a shell", f". {shortened(environment)}"),
    ):
        show(f"{name:<14} {value}")


def print_tour(places: Places, secrets: Secrets, transaction_id: str) -> None:
    """Print the commands of the tour, ready to paste."""
    path = f"/api/v1/anomalies/{transaction_id}"
    psql = shlex.quote(str(write_psql(places.state, places.servers, secrets)))  # whole: that terminal may be elsewhere
    curl = [f"curl -si -H 'X-API-Key: {secrets.analyst_key}' {url}{path}" for url in places.replicas]
    update = f"UPDATE anomalies SET status = 'CONFIRMED' WHERE transaction_id = '{transaction_id}'"  # noqa: S608 - shown
    say()
    say("A tour, for another terminal. Watch the Cache-Status header and the status.")
    _step(1, "A miss: the answer comes from Postgres (fwd=uri-miss).", curl[:1])
    _step(2, "The same again, a hit: it comes from the process' own memory (detail=l1).", curl[:1])
    _step(3, "Change the row behind the API's back.", [f"{psql} -c {_quoted(update)}"])
    _step(4, "Fresh from both replicas, at once.", curl)


def _step(number: int, text: str, commands: list[str]) -> None:
    say()
    say(f"{number}. {text}")
    for command in commands:
        show(command)


def _quoted(statement: str) -> str:
    """Quote for the shell; a statement has single quotes, so double ones read better."""
    return shlex.quote(statement) if any(each in statement for each in '"$`\\!') else f'"{statement}"'
