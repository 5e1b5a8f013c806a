"""The demo's own Postgres and Valkey."""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from anomaly_cache.demo.errors import DemoError
from anomaly_cache.demo.state import Secrets
from anomaly_cache.servers.account import server_account
from anomaly_cache.servers.binaries import find_postgres, find_valkey
from anomaly_cache.servers.ports import free_port
from anomaly_cache.servers.postgres import Postgres
from anomaly_cache.servers.reach import reachable, usable
from anomaly_cache.servers.valkey import Valkey

PREDECESSOR_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Servers:
    """The two servers, started by `start` and ended by `stop`."""

    postgres: Postgres
    valkey: Valkey

    def start(self) -> None:
        """Start both; raises ServerError with the server's own words where one does not."""
        self.postgres.start()
        self.valkey.start()

    def stop(self) -> None:
        """End whichever runs."""
        for server in (self.postgres, self.valkey):
            if server.child.running:
                server.stop()


def server_directory(state: Path) -> Path:
    """Return where the servers' files are: `state`, or a stand-in where root's state is out of Postgres' reach."""
    return reachable(state, server_account())


def make_servers(state: Path, secrets: Secrets) -> Servers:
    """Return the servers of the demo in this directory, not started, on free ports.

    Raises ServerError where there are no binaries, and DemoError where the data is of another Postgres version.
    """
    account = server_account()
    directory = server_directory(state)
    binaries = usable(find_postgres(), account, directory)
    home = directory / "postgres"
    home.mkdir(mode=0o711, exist_ok=True)
    home.chmod(0o711)
    _await_predecessor(home / "data" / "postmaster.pid")
    version = home / "data" / "PG_VERSION"
    if version.is_file() and version.read_text().strip() != str(binaries.major):
        raise DemoError(
            f"the data in {home} is of PostgreSQL {version.read_text().strip()}, and the server is "
            f"{binaries.version}: start over with --fresh"
        )
    postgres = Postgres(
        home, binaries=binaries, port=free_port(), account=account, password=secrets.postgres, settings={"fsync": "off"}
    )
    valkey = Valkey(state / "valkey", binary=find_valkey(), port=free_port(), password=secrets.redis)
    return Servers(postgres, valkey)


def _await_predecessor(pid_file: Path) -> None:
    """Wait for the server of a demo that was killed a moment ago to end."""
    deadline = time.monotonic() + PREDECESSOR_SECONDS
    with suppress(FileNotFoundError, ValueError, IndexError, ProcessLookupError, PermissionError):
        while time.monotonic() < deadline:
            os.kill(int(pid_file.read_text().splitlines()[0]), 0)
            time.sleep(0.05)
