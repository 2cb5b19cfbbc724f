"""Says on standard output where we listen, for people and for whoever started us."""

from __future__ import annotations

import contextlib

from underpass.address import ListenAddress


def announce(address: ListenAddress, *, tls: bool) -> None:
    """Print ``listening http://HOST:PORT``, a line a listener; a closed output is no error."""
    scheme = "https" if tls else "http"
    text = str(address) if address.path is not None else f"{scheme}://{address}"
    say(f"listening {text}")


def say(line: str) -> None:
    """Print a line on standard output at once; a closed output is no error."""
    with contextlib.suppress(OSError):
        print(line, flush=True)
