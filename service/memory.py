"""Memory: the C library's allocator and Python's collector, told what this process does with theirs."""

import ctypes
import gc

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""glibc's numbers of the two parameters."""

KEPT_BYTES = 32 * 2**20
"""What is free at the heap's end goes back to the kernel beyond this."""

LARGE_BYTES = 4 * 2**20
"""What is allocated in one piece of at least this size is mapped for itself, and unmapped when it is freed."""

GARBAGE = 10_000
"""After so many new objects Python's collector looks for garbage among them: what refers to itself, as few do."""


def keep_freed_memory() -> bool:
    """Have freed memory kept for what comes next; return whether the C library can be told.

    Otherwise bodies of tens of kilobytes, which come and go by the hundreds a second, are handed back to the kernel
    and faulted in again page by page: a good part of what a miss costs, most of all on virtual machines.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        return False
    return bool(library.mallopt(_TRIM_THRESHOLD, KEPT_BYTES) and library.mallopt(_MMAP_THRESHOLD, LARGE_BYTES))


def settle() -> None:
    """Have the collector pass by whatever there is now, which lives as long as the process, and look less often.

    It would stop the process for tens of milliseconds to walk through modules and models, and find nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE)
