"""A bound on the end of a process."""

import os
import sys
import threading


def leave_within(seconds: float, code: int) -> None:
    """End the process with `code` if it has not ended by itself `seconds` from now.

    Python joins its threads at exit, and a resolver's thread may wait for a name server for minutes. Call this when
    all that matters has a bound of its own, or is done.
    """

    def leave() -> None:
        sys.stdout.flush()
        os._exit(code)

    timer = threading.Timer(seconds, leave)
    timer.daemon = True
    timer.start()
