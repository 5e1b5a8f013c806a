"""The demo, run for real: nothing is left of it however it ends."""

import re
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import psutil
import pytest

from anomaly_cache.demo.state import forget
from anomaly_cache.servers.account import server_account
from anomaly_cache.servers.ports import free_port
from anomaly_cache.servers.reach import reachable
from tests.support.demos import READY, RunningDemo, shell
from tests.support.liveness import alive
from tests.support.processes import clean_environment
from tests.support.terminal import CTRL_C, Terminal

MakeDemo = Callable[..., RunningDemo]


@pytest.fixture
def state(server_directory: Path, tmp_path: Path) -> Path:
    """A directory for the demo's state that the account of Postgres can enter."""
    return server_directory / f"demo-{tmp_path.name}"


@pytest.fixture
async def make_demo(state: Path, tmp_path: Path) -> AsyncIterator[MakeDemo]:
    """Makes runs of the demo; whatever still runs at the end is ended."""
    made: list[RunningDemo] = []

    def make(*arguments: str) -> RunningDemo:
        log = tmp_path / f"demo-{len(made)}.log"
        arguments = arguments if "--port" in arguments else ("--port", str(free_port()), *arguments)
        made.append(RunningDemo(state, *arguments, log=log))
        return made[-1]

    yield make
    for demo in made:
        if demo.child.running:
            await demo.stop()


def holders(directory: Path, secrets: list[str]) -> list[Path]:
    """The files below a directory that hold one of the secrets."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    return [path for path in files if any(secret.encode() in path.read_bytes() for secret in secrets)]


def toured(demo: RunningDemo) -> str:
    """The transaction that a demo's tour is about."""
    return demo.commands()[0].rpartition("/")[2]


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that another server listens on."""
    with socket.create_server(("127.0.0.1", free_port())) as server:
        yield server.getsockname()[1]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux'")
async def test_the_next_run_keeps_the_data_until_told_to_start_over(make_demo: MakeDemo, taken_port: int) -> None:
    """Killed, a demo leaves no process and sound data; the next one has its keys and rows; --fresh makes new ones."""
    first = make_demo()
    await first.start()
    await shell(first.commands()[2])
    assert await first.stop(signal.SIGKILL) == -9

    again = make_demo("--port", str(taken_port))
    await again.start()
    assert again.key("analyst") == first.key("analyst")
    assert toured(again) != toured(first), "the updated row is NEW no more"
    assert f"Port {taken_port} is taken: replica 1 is on {taken_port + 1}." in again.said
    assert await again.stop(signal.SIGINT) == 0

    fresh = make_demo("--fresh")
    await fresh.start()
    assert fresh.key("analyst") != first.key("analyst")
    assert toured(fresh) == toured(first)


async def test_its_secrets_are_private_and_a_dead_child_ends_it(make_demo: MakeDemo, state: Path) -> None:
    """No password is in a process' arguments or in a file for others; a program that dies is shown, and exit code 1."""
    demo = make_demo()
    await demo.start()
    secrets = re.findall(r'": "(\w{32})"', (state / "state.json").read_text())
    assert len(secrets) == 4
    arguments = " ".join(" ".join(each.cmdline()) for each in demo.family if alive(each))
    assert not [secret for secret in secrets if secret in arguments]
    assert holders(state, secrets) != []
    assert [path for path in holders(state, secrets) if path.stat().st_mode & 0o077] == []

    demo.member("listener").kill()
    assert await demo.ended() == 1
    assert "listener ended with code -9" in demo.said
    assert "lease given" in demo.said


@pytest.fixture
def hidden_state(tmp_path: Path) -> Iterator[Path]:
    """A directory under a 0700 home, as a checkout of root's may be."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    yield home / ".demo"
    stand_in = reachable(home / ".demo", server_account())
    if stand_in != home / ".demo":
        forget(stand_in)
        shutil.rmtree(stand_in)


async def test_in_a_private_home_on_a_narrow_terminal_ctrl_c_ends_it(hidden_state: Path) -> None:
    """Out of reach of Postgres' account it works; at 40 columns prose wraps; the terminal's Ctrl-C ends it with 0."""
    demo = [sys.executable, "-m", "anomaly_cache", "demo", "--state", str(hidden_state), "--rows", "500"]
    command = [*demo, "--port", str(free_port())]
    async with Terminal(command, environment=clean_environment(), columns=40) as terminal:
        await terminal.until(lambda said: READY.split()[0] in said.split("A tour")[-1], within=60)
        children = psutil.Process(terminal.pid).children(recursive=True)
        terminal.press(CTRL_C)
        assert await terminal.ended() == 0, terminal.said
        said = terminal.said
    assert not [child for child in children if alive(child)]
    prose = [line for line in said.split("Ready")[1].splitlines() if line and not line.startswith(" ")]
    assert max(map(len, prose)) <= 40, prose
