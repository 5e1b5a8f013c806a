"""What is released: the source archive, the wheel made of it, and the programs in an environment with nothing else."""

import hashlib
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable
from email.message import Message
from email.parser import Parser
from pathlib import Path

import httpx2
import pytest
from uv import find_uv_bin

from anomaly_cache.servers.account import Account, server_account
from anomaly_cache.servers.ports import free_port
from tests.support.compose_file import ROOT
from tests.support.demos import RunningDemo, shell
from tests.support.processes import clean_environment

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PACKAGES = ("anomaly_cache", "coherence", "listener", "service", "sql")
BUILD_SECONDS = 60


def build(source: Path, into: Path, *targets: str) -> None:
    """Build with what is installed already."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(into)]
    command += [f"--target={target}" for target in targets]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False, timeout=BUILD_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def archive(server_directory: Path) -> Path:
    """The source archive."""
    build(ROOT, server_directory / "dist", "sdist")
    (made,) = (server_directory / "dist").glob("*.tar.gz")
    return made


@pytest.fixture(scope="module")
def wheel(archive: Path) -> Path:
    """The wheel that is made of the source archive, and of nothing else."""
    with tarfile.open(archive) as opened:
        opened.extractall(archive.parent / "unpacked", filter="data")
    (source,) = (archive.parent / "unpacked").iterdir()
    build(source, archive.parent, "wheel")
    (made,) = archive.parent.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """Where the programs of an environment are that has the wheel, what it asks for, and nothing else."""
    environment = wheel.parent / "environment"
    uv = [find_uv_bin(), "--quiet"]
    subprocess.run([*uv, "venv", "--python", sys.executable, str(environment)], check=True)
    install = [*uv, "pip", "install", "--compile-bytecode", "--python", str(environment / "bin" / "python")]
    wanted = ["--constraint", str(ROOT / "requirements.txt"), f"{wheel}[demo]"]
    for options in (["--offline"], []):  # from the cache, if all is there
        done = subprocess.run([*install, *options, *wanted], check=False, capture_output=True, text=True)
        if done.returncode == 0:
            return environment / "bin"
    if os.environ.get("CI") == "true" or "error sending request" not in done.stderr:
        pytest.fail(done.stderr)
    pytest.skip("what the wheel asks for is neither in uv's cache nor to be downloaded")


def described(wheel: Path) -> Message:
    """What a wheel says of itself."""
    with zipfile.ZipFile(wheel) as opened:
        (name,) = (name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(opened.read(name).decode())


def digests(files: Iterable[Path], root: Path) -> dict[str, str]:
    """Files by their names below a directory, with what is in each."""
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_wheel_holds_the_packages_and_no_more(wheel: Path) -> None:
    """Every file of the five packages as it is here, SQL, Lua and pages included; no test and no leftovers."""
    ours = [
        path
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    with zipfile.ZipFile(wheel) as opened:
        held = {
            name: hashlib.sha256(opened.read(name)).hexdigest()
            for name in opened.namelist()
            if not name.split("/")[0].endswith(".dist-info")
        }
    assert held == digests(ours, ROOT)
    assert {Path(name).suffix for name in held} >= {".py", ".sql", ".lua"}
    assert {f"{package}/py.typed" for package in PACKAGES} <= held.keys()


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    """Its name, version, licences, Python and extras, and a description that needs no other file."""
    metadata = described(wheel)
    assert (metadata["Name"], metadata["Version"]) == ("anomaly-cache", PROJECT["version"])
    assert metadata["License-Expression"] == PROJECT["license"]
    assert metadata["Requires-Python"] == ">=3.11"
    assert set(metadata.get_all("Provides-Extra", [])) == PROJECT["optional-dependencies"].keys()
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
    licences = set(metadata.get_all("License-File", []))
    here = {str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.txt")}
    assert licences == {"LICENSE", *here}


def test_the_archive_holds_the_tests_and_nothing_private(archive: Path) -> None:
    """Who has it can build, read and test all of it; nothing that a run leaves behind is in it."""
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert {"LICENSE", "CHANGELOG.md", "Makefile", "uv.lock", "compose.yaml", "docs/architecture.md"} <= names
    assert {"tests/acceptance/test_release.py", "scripts/environment", ".env.example"} <= names
    leftovers = {".venv", ".demo", ".bench", ".chaos", ".env", ".git", ".hypothesis", "dist"}
    assert not leftovers & {name.split("/")[0] for name in names}


def run(program: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run an installed program in an empty directory, without the checkout."""
    environment = {name: value for name, value in clean_environment().items() if name != "PYTHONPATH"}
    environment |= {"DATABASE_URL": "postgresql://u@127.0.0.1:1/d", "API_KEYS": "admin=a-key-of-no-importance"}
    return subprocess.run(
        [program, *arguments], cwd=program.parent, env=environment, capture_output=True, text=True, check=False
    )


def test_the_installed_programs_answer(installed: Path) -> None:
    """The version is the one of pyproject.toml; the settings and the help are there without the checkout."""
    program = installed / "anomaly-cache"
    assert run(program, "--version").stdout == f"anomaly-cache {PROJECT['version']}\n"
    assert "DATABASE_URL" in run(program, "config").stdout
    assert "Exit codes" in run(program, "doctor", "--help").stdout
    assert not (installed / "pytest").exists()


@pytest.fixture
def plain_user(installed: Path) -> Account | None:
    """Somebody else, where we are root; None is us, who are no root, or whose Python is out of everybody's reach."""
    account = server_account()
    return account if account and account.can_enter((installed / "python").resolve().parent) else None


async def test_the_demo_runs_from_the_wheel(
    installed: Path, server_directory: Path, tmp_path: Path, plain_user: Account | None
) -> None:
    """A miss, a hit, a change, fresh answers, and no need of root; each program names the version; SIGTERM ends all."""
    state = server_directory / "demo-of-the-wheel"
    state.mkdir(mode=0o700)
    if plain_user is not None:
        plain_user.give(state)
    demo = RunningDemo(
        state,
        *("--port", str(free_port())),
        log=tmp_path / "demo.log",
        program=(installed / "anomaly-cache",),
        account=plain_user,
    )
    await demo.start()
    assert plain_user is None or {process.uids().real for process in demo.family} == {plain_user.uid}
    try:
        miss, hit, update, first, second = demo.commands()
        assert "fwd=uri-miss" in await shell(miss)
        assert "detail=l1" in await shell(hit)
        assert "UPDATE 1" in await shell(update)
        for command in (first, second):
            assert '"status":"CONFIRMED"' in await shell(command)
        listener, replica = (
            re.search(rf"{name}\s+(http://[\d.:]+)", demo.said) for name in ("listener", "API replica 1")
        )
        async with httpx2.AsyncClient(trust_env=False) as client:
            for found in (listener, replica):
                assert found is not None
                assert f'version="{PROJECT["version"]}"' in (await client.get(f"{found[1]}/metrics")).text
            assert found is not None
            assert (await client.get(f"{found[1]}/openapi.json")).json()["info"]["version"] == PROJECT["version"]
            for page in ("/docs", "/console"):
                assert (await client.get(f"{found[1]}{page}")).status_code == httpx2.codes.OK
    finally:
        assert await demo.stop() == 0
