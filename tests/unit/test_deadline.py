"""The bound on the end of a process, in a process of its own."""

import subprocess
import sys
import time

HANGING = """
import threading, sys
from coherence.deadline import leave_within
print("done")
leave_within(0.2, 7)
threading.Event().wait() if sys.argv[1] == "main" else threading.Thread(target=threading.Event().wait).start()
"""


def test_a_process_ends_whatever_it_waits_for() -> None:
    """A thread that nobody can end, or the main one, does not keep it; what was printed is not lost."""
    for hanging in ("main", "thread"):
        started = time.monotonic()
        ended = subprocess.run(
            [sys.executable, "-c", HANGING, hanging], stdout=subprocess.PIPE, timeout=30, check=False
        )
        assert (ended.returncode, ended.stdout) == (7, b"done\n")
        assert time.monotonic() - started < 20


def test_a_process_that_ends_by_itself_is_not_held() -> None:
    """The deadline is no delay, and the code is the process' own."""
    program = "from coherence.deadline import leave_within\nleave_within(60, 7)"
    ended = subprocess.run([sys.executable, "-c", program], timeout=30, check=False)
    assert ended.returncode == 0
