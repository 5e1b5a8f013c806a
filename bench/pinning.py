"""The server that is measured on one processor, all else on another."""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Pinning:
    """Which processor the measured server gets, and which the load and the rest; None where nothing is pinned."""

    server: int | None = None
    load: int | None = None

    def served(self) -> list[str]:
        """Return what to put before the command of the measured server."""
        return [] if self.server is None else ["taskset", "--cpu-list", str(self.server)]


def pin() -> Pinning:
    """Put this process, and so what it starts, on one processor, if there is another for the server."""
    if sys.platform != "linux" or shutil.which("taskset") is None:
        return Pinning()
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) == 1:
        return Pinning()
    os.sched_setaffinity(0, {mine[1]})
    return Pinning(server=mine[0], load=mine[1])


def unpin(processors: set[int]) -> None:
    """Let this process run on these processors (again)."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, processors)


def processors() -> set[int]:
    """Return what this process may run on."""
    return set(os.sched_getaffinity(0)) if sys.platform == "linux" else set()


def resident_bytes(pid: int) -> int:
    """Return the memory that a process holds alone, and its share of what it shares with others; Linux alone."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def processor_seconds(process: psutil.Process) -> float:
    """Return the processor time that a process and all that descend from it have used."""
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in times)
