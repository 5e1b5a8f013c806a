"""Follow the replicas' logs, and make a line of each invalidation that reached them."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

EVENT = "cache invalidated"
PATIENCE = 0.5
"""Seconds that one replica's report waits for the other's."""
NARROW = 60


class Tail:
    """The whole lines that are added to a file, from its end as it is now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.stat().st_size if path.exists() else 0

    def lines(self) -> list[bytes]:
        """Return the lines that were completed since the last call."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._offset += len(whole) + len(newline)
        return whole.splitlines()


@dataclass(slots=True)
class Invalidation:
    """One invalidation, as the replicas that have it reported it: latency in milliseconds by replica."""

    namespace: str
    generation: int
    cause: str
    notifications: int
    since: float
    latencies: dict[str, float] = field(default_factory=dict)


class Follower:
    """Puts together what the logs of the replicas (by name) say of generations newer than `after`."""

    def __init__(self, logs: dict[str, Path], *, after: int = 0) -> None:
        self._after = after
        self._tails = {replica: Tail(path) for replica, path in logs.items()}
        self._pending: dict[tuple[str, int], Invalidation] = {}

    def take(self, now: float) -> Iterator[Invalidation]:
        """Read the logs, and give each invalidation that all replicas reported, or that waited long enough.

        `now` is in seconds, on a clock that is never set back.
        """
        for replica, tail in self._tails.items():
            for line in tail.lines():
                self._note(replica, line, now)
        for key, seen in list(self._pending.items()):
            if len(seen.latencies) == len(self._tails) or now - seen.since >= PATIENCE:
                del self._pending[key]
                yield seen

    def _note(self, replica: str, line: bytes, now: float) -> None:
        try:
            entry = json.loads(line)
        except ValueError:
            return  # a traceback of the interpreter's, say; the logs keep it
        if not isinstance(entry, dict) or entry.get("event") != EVENT:
            return
        key = (str(entry["namespace"]), int(entry["generation"]))
        if key[1] <= self._after:
            return
        seen = self._pending.get(key)
        if seen is None:
            seen = Invalidation(*key, str(entry["cause"]), int(entry["notifications"]), now)
            self._pending[key] = seen
        seen.latencies[replica] = float(entry["latency_ms"])


def describe(seen: Invalidation, replicas: list[str], width: int) -> str:
    """Return the line that a person reads: shorter on a narrow terminal."""
    namespace = "everything" if seen.namespace == "*" else seen.namespace
    cause = f"{namespace} {seen.cause}"
    if width < NARROW:
        return f"{cause} " + " / ".join(_milliseconds(seen, replica) for replica in replicas)
    told = f"{seen.notifications} notification" + ("" if seen.notifications == 1 else "s")
    each = "   ".join(f"{replica}: {_milliseconds(seen, replica):>8}" for replica in replicas)
    return f"{time.strftime('%H:%M:%S')}  {cause:<24}  {told:<16}  {each}"


def _milliseconds(seen: Invalidation, replica: str) -> str:
    latency = seen.latencies.get(replica)
    return "?" if latency is None else f"{latency:.1f} ms"
