"""The C library's allocator, told that what is freed will be needed again."""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""glibc's numbers of the two parameters."""

KEPT_BYTES = 32 * 2**20
"""What is free at the heap's end goes back to the kernel beyond this."""

LARGE_BYTES = 4 * 2**20
"""What is allocated in one piece of at least this size is mapped for itself, and unmapped when it is freed."""


def keep_freed_memory() -> bool:
    """Have freed memory kept for what comes next; return whether the C library can be told.

    Otherwise bodies of tens of kilobytes, which come and go by the hundreds a second, are handed back to the kernel
    and faulted in again page by page: a good part of what a miss costs, most of all on virtual machines.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        return False
    return bool(library.mallopt(_TRIM_THRESHOLD, KEPT_BYTES) and library.mallopt(_MMAP_THRESHOLD, LARGE_BYTES))
