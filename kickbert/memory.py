"""Memory that a training step freed is kept for the next one, instead of going back to the system."""

import ctypes
import functools
import os

TRIM, MMAP = -1, -3  # names of mallopt's parameters (glibc, malloc.h)
KEPT, LARGE = 2**30, 2**26  # bytes


@functools.cache
def keep_freed() -> bool:
    """Tell glibc's malloc to keep up to 1 GB of freed memory, for the life of the process.

    A step frees its activations, and by default glibc returns them to the system, which must then hand each page out
    again, zeroed (benchmarks/step.py shows what that costs). Blocks of 64 MB and more, such as a store, still
    come and go by themselves. What the user has set for malloc stands.

    Returns:
        Whether it was done: not where there is no glibc, nor where the environment says otherwise.
    """
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # macOS, Windows, musl
        return False
    return bool(mallopt(MMAP, LARGE) and mallopt(TRIM, KEPT))
