"""Stop a process and all that it started in their tracks, and let them run on."""

from contextlib import suppress

import psutil


def freeze(pid: int) -> None:
    """SIGSTOP a process and its descendants: sockets stay open, nothing answers."""
    root = psutil.Process(pid)
    root.suspend()  # first, so that it starts no more children
    for child in root.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.suspend()


def thaw(pid: int) -> None:
    """SIGCONT a process and its descendants; one that is gone is left alone."""
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for child in root.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.resume()
        root.resume()
