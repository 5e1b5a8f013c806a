"""Metrics of several worker processes as one: prometheus_client's multiprocess mode, set up by itself.

Under `uvicorn --workers N` each scrape reaches one worker. They share their numbers through files in a directory.
"""

import hashlib
import multiprocessing
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
PREFIX = "anomaly-cache-metrics-"


def share_metrics() -> Path | None:
    """Have metrics made from now on shared, where this process is one of several; return the directory.

    It is the one of PROMETHEUS_MULTIPROC_DIR where that is set, else one that the workers of one parent agree on.
    """
    given = os.environ.get(VARIABLE)
    if given is None:
        parent = multiprocessing.parent_process()
        if parent is None or parent.pid is None:
            return None
        given = os.environ[VARIABLE] = str(_directory_of_workers(parent.pid))
    directory = Path(given)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The library decides when it is imported, which was too early.
    values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call] # the library's
    return directory


def _directory_of_workers(parent: int) -> Path:
    """Return the directory for the workers of `parent`, and remove those of parents that are gone."""
    root = Path(tempfile.gettempdir())
    own = f"{PREFIX}{os.getuid()}-"
    for directory in root.glob(f"{own}*"):
        pid = directory.name.removeprefix(own).partition("-")[0]
        if pid.isdigit() and not _is_alive(int(pid)):
            shutil.rmtree(directory, ignore_errors=True)
    # All workers of one parent are given the same secret; nobody else can guess the name.
    secret = hashlib.sha256(multiprocessing.current_process().authkey).hexdigest()[:16]
    return root / f"{own}{parent}-{secret}"


def collector(directory: Path) -> CollectorRegistry:
    """Return a registry with the numbers of all processes. The gauges of those that are gone are dropped first."""
    for file in directory.glob("gauge_live*.db"):
        pid = file.stem.rpartition("_")[2]
        if pid.isdigit() and not _is_alive(int(pid)):
            # Another worker may be at the same.
            with suppress(FileNotFoundError):
                mark_process_dead(int(pid), str(directory))  # type: ignore[no-untyped-call] # the library's
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(directory))  # type: ignore[no-untyped-call] # the library's
    return registry


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
