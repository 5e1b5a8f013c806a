"""Whether a process still runs."""

from contextlib import suppress

import psutil


def alive(process: psutil.Process) -> bool:
    """Tell whether it runs; a zombie, which nobody has asked for its exit code yet, does not."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
