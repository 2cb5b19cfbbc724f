"""How many files and sockets this process may have open: as many as it is allowed to ask for."""

from __future__ import annotations

import contextlib
import resource


def raise_file_limit() -> int:
    """Raise our limit on open files as far as allowed; return what it is then.

    Systems start programs with 1,024 and allow many more: a stream is a socket or two.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            return hard
    return soft
