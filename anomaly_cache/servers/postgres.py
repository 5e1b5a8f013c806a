"""A Postgres server of our own: initdb, start, stop."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from anomaly_cache.servers.account import Account
from anomaly_cache.servers.binaries import PostgresBinaries
from anomaly_cache.servers.child import Child
from anomaly_cache.servers.errors import ServerError

START_SECONDS = 30.0
BUILTIN_LOCALES_SINCE = 17


class Postgres:
    """One cluster in `directory/data`, listening on a loopback port and on nothing else.

    Its superuser is `postgres`: trusted without a password where `password` is None, else by SCRAM.
    `directory` must be one that the account can enter. The port stays the same over restarts.
    """

    def __init__(
        self,
        directory: Path,
        *,
        binaries: PostgresBinaries,
        port: int,
        account: Account | None = None,
        password: str | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.port = port
        self._binaries = binaries
        self._account = account
        self._password = password
        self._data = directory / "data"
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
            "logging_collector": "off",
            **(settings or {}),
        }
        command = [str(binaries.program("postgres")), "-D", str(self._data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        self.child = Child(
            "postgres",
            command,
            log=directory / "postgres.log",
            environment=_environment(),
            account=account,
            directory=Path("/"),
            stop_signal=signal.SIGINT,  # fast: ends the sessions, then itself
            death_signal=signal.SIGINT,
        )

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        return self.child.pid

    @property
    def initialised(self) -> bool:
        """Whether the cluster exists on disk."""
        return (self._data / "PG_VERSION").is_file()

    @property
    def url(self) -> str:
        """The superuser's connection URL for the database `postgres`."""
        return self.url_for("postgres")

    def url_for(self, database: str, *, user: str = "postgres", password: str | None = None) -> str:
        """Return a connection URL; the password defaults to the superuser's where the user is that."""
        if password is None and user == "postgres":
            password = self._password
        secret = "" if password is None else f":{quote(password, safe='')}"
        return f"postgresql://{quote(user)}{secret}@127.0.0.1:{self.port}/{quote(database)}"

    def start(self) -> None:
        """Make the cluster if there is none, start the server and wait until it takes connections.

        Raises ServerError with the server's last log lines where that fails.
        """
        if not self.initialised:
            self._initialise()
        self.child.start()
        self.child.until(self._is_ready, START_SECONDS)

    def stop(self) -> int:
        """End the sessions and the server; return its exit code."""
        return self.child.stop()

    def kill(self) -> int:
        """Crash it: SIGKILL to the server; its sessions end by themselves."""
        return self.child.kill()

    def _initialise(self) -> None:
        """Make the cluster beside its place and move it there: an interrupted initdb leaves nothing half made."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if self._account is not None and not self._account.can_enter(self.directory):
            raise ServerError(f"the user {self._account.name} cannot enter {self.directory}")
        with tempfile.TemporaryDirectory(dir=self.directory, prefix="initdb-") as name:
            workshop = Path(name)
            secret = workshop / "password"
            secret.touch(mode=0o600)
            secret.write_text(self._password or "")
            if self._account is not None:
                self._account.give(workshop)
                self._account.give(secret)
            self._initdb(workshop / "data", secret)
            (workshop / "data").rename(self._data)

    def _initdb(self, data: Path, password_file: Path) -> None:
        command = [str(self._binaries.program("initdb")), "-D", str(data), "-U", "postgres"]
        command += ["-E", "UTF8", "--no-sync"]
        if self._binaries.major >= BUILTIN_LOCALES_SINCE:
            command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        else:
            command += ["--locale=C.UTF-8"]
        if self._password is None:
            command += ["-A", "trust"]
        else:
            command += ["-A", "scram-sha-256", f"--pwfile={password_file}"]
        account = self._account
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            cwd="/",
            env=_environment(),
            user=None if account is None else account.uid,
            group=None if account is None else account.gid,
            extra_groups=None if account is None else [],
        )
        if done.returncode != 0:
            raise ServerError(f"initdb failed:\n{done.stdout}{done.stderr}".rstrip())

    def _is_ready(self) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0].strip() == str(self.pid) and lines[7].strip() == "ready"  # noqa: PLR2004 - its lines


def _environment() -> dict[str, str]:
    """Our environment less what would steer a Postgres, such as PGDATA."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
