"""A shell in which a test does what a page says, block by block, as a reader would paste them."""

import asyncio
import os
import re
import shlex
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from anomaly_cache.servers.ports import free_port
from tests.support.compose_file import ROOT
from tests.support.steps import Step
from tests.support.waiting import eventually

STAND_INS = Path(__file__).with_suffix(".bash")
STEP_SECONDS = 60.0
MOST_SHOWN = 2000
_END = b"\x1e"
_FAILED = "\x1f"


def linked_checkout(directory: Path, demo: Path | None = None) -> Path:
    """Make a directory that looks like this checkout, with a demo's state if there is one; return it."""
    directory.mkdir()
    for entry in ROOT.iterdir():
        if not entry.name.startswith(".") or entry.name == ".env.example":
            (directory / entry.name).symlink_to(entry)
    if demo is not None:
        (directory / ".demo").symlink_to(demo)
    return directory


class PageShell:
    """A bash beside a running demo, in a checkout; `async with` ends it.

    `ports` says where the pages' own addresses are here: `localhost:8000`, say, may be another port. For what is in
    `real` nothing stands in. No step may take longer than `patience`, in seconds.
    """

    def __init__(
        self,
        directory: Path,
        variables: Mapping[str, str],
        ports: Mapping[str, str],
        *,
        real: str = "",
        patience: float = STEP_SECONDS,
    ) -> None:
        self._directory = directory
        self._variables = {**variables, "REAL": real}
        self._ports = dict(ports)
        self._patience = patience

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            "bash",
            "--noprofile",
            "--norc",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=self._directory,
            env={**os.environ, "no_proxy": "127.0.0.1", **self._variables},
            limit=2**24,
            start_new_session=True,
        )
        self._count = 0
        await self._run(f". {shlex.quote(str(STAND_INS))}")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                await self._run("leave")
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)  # what stays in the foreground, too
            await self._process.wait()

    async def do(self, step: Step) -> None:
        """Run a step; fails, saying where, unless it succeeds and prints what the page shows.

        What only asks is asked again until it does: a page tells what comes to pass, a busy machine decides when.
        """
        script = self._here(step.script)

        async def shown() -> bool:
            said = await self._run(script, may_fail=step.asks_only)
            missing = step.differs(said)
            assert not missing, f"the page shows\n{missing}\nwhich is missing in\n{said}\nof\n{script}"
            return True

        try:
            await (eventually(shown, every=0.1) if step.asks_only else shown())
        except AssertionError as error:
            raise AssertionError(f"{step.where}: {error}") from None

    def _here(self, script: str) -> str:
        """Put in the ports that things have here."""
        for port in re.findall(r"--port (\d+)", script):
            self._ports[port] = str(free_port())
        return re.sub(
            r"(--port |localhost:)(\d{4,5})\b",
            lambda found: f"{found[1]}{self._ports.setdefault(found[2], str(free_port()))}",
            script,
        )

    async def _run(self, script: str, *, may_fail: bool = False) -> str:
        """Run a script in the shell and return what it prints; one that fails ends the shell, unless it may."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._count += 1
        file = self._directory / f".step-{self._count}.sh"
        # As late as can be: what is free now may be taken in a minute.
        file.write_text(f"FREE_PORT_1={free_port()} FREE_PORT_2={free_port()}\n{script}")
        run = f"{'survive ' if may_fail else '. '}./{file.name} </dev/null; printf '\\036'\n"
        self._process.stdin.write(run.encode())
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._patience):
                said = await self._process.stdout.readuntil(_END)
        except asyncio.IncompleteReadError as error:
            code = await self._process.wait()
            end = error.partial.decode()[-MOST_SHOWN:]
            raise AssertionError(f"exit code {code} of\n{script}\nwhich printed\n{end}") from None
        except TimeoutError:
            raise AssertionError(f"still runs after {time.monotonic() - began:.0f} s:\n{script}") from None
        printed, failed, status = said.removesuffix(_END).decode().partition(_FAILED)
        assert not failed, f"exit code {status} of\n{script}\nwhich printed\n{printed}"
        return printed
