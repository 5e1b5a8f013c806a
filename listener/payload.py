"""What a notification says. Sans-IO: anybody may NOTIFY, so nothing that comes is trusted further than it parses."""

import json
import re
from dataclasses import dataclass

from coherence.changes import Change
from coherence.rows import RowChange, rows_from_wire

CHANNEL = "coherence"
"""The NOTIFY channel of the triggers, and of the fences."""

OPERATIONS = frozenset({"insert", "update", "delete", "truncate", "invalidate", "many"})
"""What the triggers and functions of `sql/` report; a cause in logs and metrics."""

OVERFLOWS = frozenset({"rows", "bytes", "json", "bump"})
"""Why a change does not say which rows.

Too many in a transaction, too long a notification, values that JSON cannot tell, too many in a bump.
"""

_NAMESPACE = re.compile(r"[a-z][a-z0-9_-]{0,62}\Z")  # as coherence.watch takes them
_EVERYTHING = Change(None, "unparsable")


@dataclass(frozen=True, slots=True)
class Fence:
    """A listener's notification to itself: all that was committed before it has been delivered when it is back."""

    token: str

    def as_payload(self) -> str:
        """Return the NOTIFY payload."""
        return json.dumps({"fence": self.token})


def parse(payload: str) -> Change | Fence:
    """Return what `payload` says. One that cannot be understood means that everything changed."""
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        return _EVERYTHING
    match document:
        case {"fence": str() as token}:
            return Fence(token)
        case {"ns": None, "op": str() as operation}:
            return Change(None, _cause(operation))
        case {"ns": str() as namespace, "op": str() as operation} if _NAMESPACE.match(namespace):
            return Change(namespace, _cause(operation), 1, _rows(document), _overflow(document))
    return _EVERYTHING


def _rows(document: dict[str, object]) -> tuple[RowChange, ...] | None:
    return rows_from_wire([document.get("columns"), document.get("rows")])


def _overflow(document: dict[str, object]) -> str | None:
    overflow = document.get("overflow")
    return overflow if isinstance(overflow, str) and overflow in OVERFLOWS else None


def _cause(operation: str) -> str:
    return operation if operation in OPERATIONS else "unknown"
