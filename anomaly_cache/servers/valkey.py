"""A Valkey (or Redis) server of our own: start, stop."""

import os
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from anomaly_cache.servers.child import Child

START_SECONDS = 10.0
PROBE_SECONDS = 1.0


class Valkey:
    """One server with its files in `directory`, listening on a loopback port.

    Nothing is saved to disk unless `settings` (lines of its configuration file, by name) say so.
    """

    def __init__(
        self,
        directory: Path,
        *,
        binary: Path,
        port: int,
        password: str | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.port = port
        self._password = password
        self._settings = {
            "port": str(port),
            "bind": "127.0.0.1",
            "dir": _quoted(str(directory)),
            "save": '""',
            "appendonly": "no",
            "databases": "16",
            **({} if password is None else {"requirepass": _quoted(password)}),
            **(settings or {}),
        }
        self._configuration = directory / "valkey.conf"
        self.child = Child(
            "valkey",
            [binary, self._configuration],
            log=directory / "valkey.log",
            stop_signal=signal.SIGTERM,
            death_signal=signal.SIGTERM,
        )

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self.child.pid

    @property
    def url(self) -> str:
        """The connection URL of database 0."""
        return self.url_for(0)

    def url_for(self, database: int) -> str:
        """Return a connection URL for one of its numbered databases."""
        secret = "" if self._password is None else f":{quote(self._password, safe='')}@"
        return f"redis://{secret}127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises ServerError with the server's last log lines where that fails.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        text = "".join(f"{name} {value}\n" for name, value in self._settings.items())
        descriptor = os.open(self._configuration, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as configuration:  # it holds the password
            configuration.write(text)
        self.child.start()
        self.child.until(self._answers, START_SECONDS)

    def stop(self) -> int:
        """End it; return its exit code."""
        return self.child.stop()

    def kill(self) -> int:
        """Crash it with SIGKILL."""
        return self.child.kill()

    def _answers(self) -> bool:
        hello = "" if self._password is None else f"AUTH {_quoted(self._password)}\r\n"
        try:
            with socket.create_connection(("127.0.0.1", self.port), PROBE_SECONDS) as connection:
                connection.sendall(f"{hello}PING\r\n".encode())
                said = b""
                while said.count(b"\r\n") < (2 if hello else 1):
                    chunk = connection.recv(256)
                    if not chunk:
                        return False
                    said += chunk
        except OSError:
            return False
        return said.endswith(b"+PONG\r\n")


def _quoted(text: str) -> str:
    """Return a text as one word of its configuration file and of its inline commands."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
