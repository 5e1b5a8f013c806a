"""What a demo keeps between runs: its directory, its secrets, and the lock that makes it the only one there."""

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import anomaly_cache
from anomaly_cache.demo.errors import DemoError

STATE, LOCK = "state.json", "lock"
PSQL, SERVICE, ENVIRONMENT = "psql", "pg_service.conf", "env"


def _password() -> str:
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class Secrets:
    """The generated passwords and API keys of one demo."""

    postgres: str = field(default_factory=_password)
    api: str = field(default_factory=_password)
    listener: str = field(default_factory=_password)
    redis: str = field(default_factory=_password)
    analyst_key: str = field(default_factory=lambda: f"analyst-{secrets.token_hex(6)}")
    admin_key: str = field(default_factory=lambda: f"admin-{secrets.token_hex(6)}")


def default_directory() -> Path:
    """Return `.demo` of the checkout that this code runs from, or of an installed wheel the XDG state directory."""
    checkout = Path(anomaly_cache.__file__).resolve().parents[1]
    if (checkout / "pyproject.toml").is_file():
        return checkout / ".demo"
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "anomaly-cache" / "demo"


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Make the directory and be the only demo in it; raises DemoError if another one is."""
    try:
        # Postgres' own account must be able to pass through; what is secret in it is 0600.
        directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        lock = (directory / LOCK).open("a+")
    except OSError as error:
        raise DemoError(
            f"cannot use {directory} for the demo's data: {error.strerror}. Name another one with --state."
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise DemoError(
                f"another demo runs in {directory} already, as process {lock.read().strip() or '?'}. "
                "Stop it with Ctrl-C, or run this one elsewhere with --state."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def load_secrets(directory: Path) -> Secrets:
    """Return the secrets of the demo in this directory, made now if it has none.

    Raises DemoError where the file is not what an earlier demo wrote.
    """
    path = directory / STATE
    try:
        kept = json.loads(path.read_text())
        return Secrets(**{each.name: kept[each.name] for each in fields(Secrets)})
    except FileNotFoundError:
        made = Secrets()
        write_private(path, json.dumps(asdict(made), indent=2))
        return made
    except (ValueError, KeyError, TypeError):
        raise DemoError(f"{path} is damaged: start over with --fresh") from None


def forget(*directories: Path) -> None:
    """Remove what a demo made in these directories, and nothing else that is there."""
    for directory in directories:
        for name in ("postgres", "valkey", "logs"):
            if (directory / name).exists():
                shutil.rmtree(directory / name)
        for name in (STATE, PSQL, SERVICE, ENVIRONMENT):
            (directory / name).unlink(missing_ok=True)


def write_private(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file that only its owner may read."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
