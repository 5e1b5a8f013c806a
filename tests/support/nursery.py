"""Starts Python programs by forking a process that has imported them already: 30 ms of CPU instead of most of a second.

What runs is the same as with `python -m`: a process of its own in a session of its own, with its environment,
directory, log, signals and exit code.

Run as a program, this file is the process that forks; imported, it is how tests talk with it.
"""

import ctypes
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast

from anomaly_cache.servers.child import Child
from anomaly_cache.servers.errors import ServerError

PRELOADED = ("service.app", "service.server", "listener.daemon", "listener.command", "coherence.redis_client")
PR_SET_PDEATHSIG = 1
LONGEST_MESSAGE = 128 * 1024
OF_INTERPRETER = ("PYTHON", "LD_")
"""Variables that are read before any of our code runs."""


class Nursery:
    """The process that forks; `close` ends it and all that it started."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._exit_codes: dict[int, int] = {}
        self._lock = threading.Lock()
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__, str(theirs.fileno()), str(os.getpid())],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                cwd="/",
            )

    def close(self) -> None:
        """End it, and what is left of what it started."""
        self._ours.close()
        self._process.wait()

    def takes(self, environment: Mapping[str, str]) -> bool:
        """Whether programs with this environment can be forked: it says nothing else to the interpreter."""
        return _of_interpreter(environment) == _of_interpreter(self._environment)

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], directory: Path, log: Path) -> "Forked":
        """Start `python -m` with these arguments; it writes to the end of `log`."""
        job = {"argv": arguments, "environment": environment, "directory": str(directory), "log": str(log)}
        with self._lock:
            self._ours.setblocking(True)
            self._ours.send(json.dumps(job).encode())
            while (pid := self._hear(self._ours.recv(LONGEST_MESSAGE))) is None:
                pass
        return Forked(self, pid)

    def exit_code(self, pid: int) -> int | None:
        """Return how a process ended, as `subprocess` does; None while it runs."""
        with self._lock:
            self._ours.setblocking(False)
            try:
                while message := self._ours.recv(LONGEST_MESSAGE):
                    self._hear(message)
            except BlockingIOError:
                pass
            return self._exit_codes.get(pid)

    def _hear(self, message: bytes) -> int | None:
        told = json.loads(message)
        if "ended" not in told:
            return cast("int", told["started"])
        self._exit_codes[told["ended"]] = told["code"]
        return None


class Forked:
    """A process of the nursery's; what `Child` uses of `subprocess.Popen`."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self.pid = pid
        self._nursery = nursery

    def poll(self) -> int | None:
        """Return its exit code; None while it runs."""
        return self._nursery.exit_code(self.pid)

    def send_signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it, if it still runs."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Block until it has ended; raises TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and timeout is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            time.sleep(0.002)
        return code


class Nursling(Child):
    """A child whose command is `python -m …`, and which a nursery starts."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str],
        directory: Path,
        nursery: Nursery,
    ) -> None:
        super().__init__(name, command, log=log, environment=environment, directory=directory)
        self._nursery = nursery
        self._job = (command[2:], environment, directory, log)

    def start(self) -> None:
        """Start the program; raises ServerError if it runs already."""
        if self.running:
            raise ServerError(f"{self.name} runs already, as process {self.pid}")
        # It has all of a Popen that `Child` asks for.
        self._process = cast("subprocess.Popen[bytes]", self._nursery.start(*self._job))


def _of_interpreter(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(OF_INTERPRETER)}


class _Forker:
    """The loop of the process that forks."""

    def __init__(self, asked: socket.socket) -> None:
        self._asked = asked
        self._selector = selectors.DefaultSelector()
        self._selector.register(asked, selectors.EVENT_READ, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """In the parent and in each child: leave nothing open."""
        for key in list(self._selector.get_map().values()):
            if key.data is not None:
                os.close(key.fd)
        self._selector.close()
        self._asked.close()

    def next_job(self) -> dict[str, Any] | None:
        """Fork for each job. In a child, return the job; in the parent None, once nobody is left to ask."""
        while True:
            for key, _ in self._selector.select():
                if key.data is not None:
                    self._bury(key.fd, key.data)
                    continue
                message = self._asked.recv(LONGEST_MESSAGE)
                if not message:
                    return None
                pid = os.fork()
                if pid == 0:
                    return cast("dict[str, Any]", json.loads(message))
                self._selector.register(os.pidfd_open(pid), selectors.EVENT_READ, pid)
                self._tell(started=pid)

    def _bury(self, descriptor: int, pid: int) -> None:
        _, status = os.waitpid(pid, 0)
        self._selector.unregister(descriptor)
        os.close(descriptor)
        self._tell(ended=pid, code=os.waitstatus_to_exitcode(status))

    def _tell(self, **what: int) -> None:
        try:
            self._asked.send(json.dumps(what).encode())
        except BrokenPipeError:  # the tests are over: the next look at the socket says so
            return


def _die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _become(job: Mapping[str, Any]) -> None:
    """Be what the job says."""
    os.setsid()
    os.chdir(job["directory"])
    os.environ.clear()
    os.environ.update(job["environment"])
    log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
    sys.path.insert(0, job["directory"])
    module, *_ = sys.argv = job["argv"]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def main(descriptor: int, parent: int) -> None:
    """Fork until the other end of the socket is closed."""
    _die_with(parent)
    for name in PRELOADED:
        __import__(name)
    gc.collect()
    gc.freeze()
    ours = os.getpid()
    with _Forker(socket.socket(fileno=descriptor)) as forker:
        job = forker.next_job()
    if job is not None:
        _die_with(ours)
        _become(job)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
