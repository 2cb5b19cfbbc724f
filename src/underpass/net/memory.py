"""Keeps the C library from giving memory back to the system between two buffers.

glibc returns the top of its heap as soon as 128 KiB of it are free, and maps larger buffers anew
each time. A process that moves bytes in buffers of 64 KiB and more then spends up to half of its
time on pages that it had a moment ago (docs/decisions/007-speed-of-the-session-core.md).
"""

from __future__ import annotations

import ctypes

# glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3

# What one process keeps at most at the top of its heap once it is free: several times what a busy
# one has in buffers at a moment, and little beside what Python itself takes.
KEPT_BYTES = 16 * 1024 * 1024
# How much the heap grows by at once; pages that are never touched cost nothing.
_GROWTH_BYTES = 1024 * 1024
# Buffers up to this are of the heap: asyncio reads 256 KiB at once.
_LARGEST_BYTES = 1024 * 1024


def keep_freed_memory() -> bool:
    """Let this process keep up to `KEPT_BYTES` that it has freed, for its next buffers.

    Costs as much memory after a burst, which the system can't give to others; what is in use costs
    nothing more. Returns whether it is in force: the C library must be glibc. For a process that
    moves bytes, at its start.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        # Another C library, or another system: it has ways of its own.
        return False
    settings = (
        (_M_TRIM_THRESHOLD, KEPT_BYTES),
        (_M_TOP_PAD, _GROWTH_BYTES),
        (_M_MMAP_THRESHOLD, _LARGEST_BYTES),
    )
    return all(mallopt(name, value) == 1 for name, value in settings)
