"""Servers of a test's own, which it may break as it likes."""

from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TypeVar

import psutil

from anomaly_cache.servers.account import server_account
from anomaly_cache.servers.binaries import find_postgres, find_valkey
from anomaly_cache.servers.errors import ServerError
from anomaly_cache.servers.ports import free_port
from anomaly_cache.servers.postgres import Postgres
from anomaly_cache.servers.reach import usable
from anomaly_cache.servers.valkey import Valkey
from tests.support.freezing import freeze, thaw

# A test server forgets everything at its end, so nothing need reach the disk; logical replication is tested.
POSTGRES_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "logical",
    "max_wal_senders": "8",
    "max_connections": "300",
    "max_prepared_transactions": "8",
    "shared_buffers": "64MB",
}
VALKEY_SETTINGS = {"enable-debug-command": "local"}
ATTEMPTS = 3


class OwnPostgres(Postgres):
    """A Postgres to stop, kill, pause and start again; its URL stays the same."""

    def pause(self) -> None:
        """Stop the server and all its sessions in their tracks: connections stay open, nothing answers."""
        freeze(self.pid)

    def resume(self) -> None:
        """Let them run on."""
        thaw(self.pid)

    def stop(self) -> int:
        """End it, paused or not."""
        self.resume()
        return super().stop()

    def kill(self) -> int:
        """Crash the server and all its sessions, as a machine that goes down would."""
        sessions = psutil.Process(self.pid).children(recursive=True)
        code = super().kill()
        for session in sessions:
            with suppress(psutil.NoSuchProcess):
                session.kill()
        psutil.wait_procs(sessions, timeout=5)
        return code


class OwnValkey(Valkey):
    """A Valkey to stop, kill, pause and start again; its URL stays the same."""

    def pause(self) -> None:
        """Stop it in its tracks: connections stay open, nothing answers."""
        freeze(self.pid)

    def resume(self) -> None:
        """Let it run on."""
        thaw(self.pid)

    def stop(self) -> int:
        """End it, paused or not."""
        self.resume()
        return super().stop()


Own = TypeVar("Own", OwnPostgres, OwnValkey)


class ServerRoom:
    """Makes servers under one directory, which the account of Postgres can enter, and ends them all."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._copies = directory.parent
        self._stack = ExitStack()
        self._count = 0

    def postgres(self, **settings: str) -> OwnPostgres:
        """Start a new Postgres with these settings beside the usual ones."""
        account = server_account()
        binaries = usable(find_postgres(), account, self._copies)

        def make(directory: Path, port: int) -> OwnPostgres:
            return OwnPostgres(
                directory,
                binaries=binaries,
                port=port,
                account=account,
                settings={**POSTGRES_SETTINGS, **settings},
            )

        return self._start("postgres", make)

    def valkey(self, *, password: str | None = None, binary: Path | str | None = None, **settings: str) -> OwnValkey:
        """Start a new Valkey with these settings beside the usual ones; `_` in a name is a dash.

        `binary` is what to start instead of the server that is found.
        """
        named = {name.replace("_", "-"): value for name, value in settings.items()}

        def make(directory: Path, port: int) -> OwnValkey:
            return OwnValkey(
                directory,
                binary=Path(binary) if binary else find_valkey(),
                port=port,
                password=password,
                settings={**VALKEY_SETTINGS, **named},
            )

        return self._start("valkey", make)

    def close(self) -> None:
        """End every server made here."""
        self._stack.close()

    def _start(self, name: str, make: Callable[[Path, int], Own]) -> Own:
        """Start a server; a port that another took in the meantime is worth another try."""
        for attempt in range(ATTEMPTS):
            self._count += 1
            directory = self.directory / f"{name}-{self._count}"
            directory.mkdir(mode=0o711)
            server = make(directory, free_port())
            try:
                server.start()
            except ServerError:
                if server.child.running:
                    server.kill()
                if attempt + 1 == ATTEMPTS:
                    raise
            else:
                self._stack.callback(_end, server)
                return server
        raise AssertionError("the last attempt returns or raises")


def _end(server: OwnPostgres | OwnValkey) -> None:
    """End a server in whatever state its test left it."""
    if server.child.running:
        server.stop()
