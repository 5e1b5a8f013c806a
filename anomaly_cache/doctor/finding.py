"""What a check found."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is. What is `failing` keeps the cache off, loses changes, or lets strangers in."""

    OK = "ok"
    WARNING = "warning"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, how it is, what was seen, and what helps (None where nothing needs to)."""

    check: str
    level: Level
    detail: str
    remedy: str | None = None


def ok(check: str, detail: str) -> Finding:
    """Return that all is well."""
    return Finding(check, Level.OK, detail)


def warning(check: str, detail: str, remedy: str) -> Finding:
    """Return what should be mended, although it works."""
    return Finding(check, Level.WARNING, detail, remedy)


def failing(check: str, detail: str, remedy: str) -> Finding:
    """Return what does not work, or is dangerous."""
    return Finding(check, Level.FAILING, detail, remedy)
