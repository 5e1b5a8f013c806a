"""Fixtures for every test; they live in tests/support."""

import os

pytest_plugins = ["tests.support.fixtures"]

MOST_WORKERS = 4
"""More would not be faster: each has servers of its own, and the acceptance tests start whole systems."""


def pytest_xdist_auto_num_workers() -> int:
    """What `-n auto` means: a process for each core that we may use, within reason."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_WORKERS)
