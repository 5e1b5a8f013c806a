"""A child process with a log file, which does not outlive its parent."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from anomaly_cache.servers.account import Account
from anomaly_cache.servers.errors import ServerError

PR_SET_PDEATHSIG = 1


class Child:
    """One program run again and again under one name, its output appended to one log file.

    On Linux the kernel sends it `death_signal` when the thread that started it ends, however it ends:
    start it from a thread that lives as long as it should.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        account: Account | None = None,
        directory: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        death_signal: signal.Signals = signal.SIGKILL,
    ) -> None:
        self.name = name
        self.log = log
        self._command = [str(part) for part in command]
        self._environment = dict(os.environ if environment is None else environment)
        self._account = account
        self._directory = directory
        self._stop_signal = stop_signal
        self._death_signal = death_signal
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the last start; raises ServerError before the first."""
        if self._process is None:
            raise ServerError(f"{self.name} was never started")
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code of the last start, negative for a signal; None while running or never started."""
        return None if self._process is None else self._process.poll()

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended (a paused process is running)."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the program; raises ServerError if it runs already or cannot be executed."""
        if self.running:
            raise ServerError(f"{self.name} runs already, as process {self.pid}")
        account = self._account
        try:
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self._environment,
                    cwd=self._directory,
                    user=None if account is None else account.uid,
                    group=None if account is None else account.gid,
                    extra_groups=None if account is None else [],
                    start_new_session=True,  # a Ctrl-C of the terminal is the parent's to handle
                    preexec_fn=_die_with_parent(self._death_signal),  # noqa: PLW1509 - takes no lock
                )
        except OSError as error:
            raise ServerError(f"{self.name} does not start: {error}") from error

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self._process is not None:
            self._process.send_signal(number)

    def stop(self, within: float = 10.0) -> int:
        """Ask it to end and return its exit code; past `within` seconds it is killed.

        Returns at once if it has ended already. Raises ServerError before the first start.
        """
        self.send(self._stop_signal)
        code = self.wait(within)
        return self.kill() if code is None else code

    def wait(self, within: float) -> int | None:
        """Wait for its end and return the exit code; None if it still runs after `within` seconds."""
        if self._process is None:
            raise ServerError(f"{self.name} was never started")
        try:
            return self._process.wait(within)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> int:
        """Kill it and return the exit code, which is an earlier one if it had ended already."""
        if self._process is None:
            raise ServerError(f"{self.name} was never started")
        self._process.kill()
        return self._process.wait()

    def last_lines(self, count: int = 15) -> str:
        """Return the last lines of its log; empty if there is none."""
        if not self.log.is_file():
            return ""
        with self.log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 64 * 1024))
            text = log.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-count:])

    def until(self, ready: Callable[[], bool], within: float) -> None:
        """Block until `ready` is true; raises ServerError if the process ends first or time runs out."""
        deadline = time.monotonic() + within
        while not ready():
            if not self.running:
                raise ServerError(f"{self.name} ended with code {self.returncode}:\n{self.last_lines()}")
            if time.monotonic() > deadline:
                raise ServerError(f"{self.name} is not ready after {within:g} s:\n{self.last_lines()}")
            time.sleep(0.005)


def _die_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """Return what the child does between fork and exec so that it gets a signal when its parent is gone."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def hook() -> None:
        prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # it died before the call above
            os._exit(1)

    return hook
