"""The account that a server runs under: Postgres refuses to be root."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from anomaly_cache.servers.errors import ServerError

CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """A user and its group, by number."""

    name: str
    uid: int
    gid: int

    def give(self, path: Path) -> None:
        """Make this account the owner of one file or directory."""
        os.chown(path, self.uid, self.gid)

    def can_enter(self, directory: Path) -> bool:
        """Tell whether this account may pass through a directory and all that lead to it."""
        absolute = directory.absolute()
        return all(self._may_pass(each.stat()) for each in (absolute, *absolute.parents))

    def _may_pass(self, status: os.stat_result) -> bool:
        if status.st_uid == self.uid:
            return bool(status.st_mode & 0o100)
        if status.st_gid == self.gid:
            return bool(status.st_mode & 0o010)
        return bool(status.st_mode & 0o001)


def server_account() -> Account | None:
    """Return the account that Postgres is to run under; None means our own, which is not root.

    Raises ServerError where we are root and there is nobody else to be.
    """
    if os.geteuid() != 0:
        return None
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise ServerError(f"Postgres does not run as root, and none of the users {', '.join(CANDIDATES)} exists")
