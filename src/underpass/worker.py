"""What a worker process inherits from its supervisor, and how that is handed over.

File descriptors go by number, with a few addresses, in a private environment variable; nothing in
argv.
"""

from __future__ import annotations

import json
import mmap
import os
import socket
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass

from underpass.address import ListenAddress
from underpass.errors import ConfigurationError
from underpass.observe import SLOT_BYTES, SLOTS

VARIABLE = "UNDERPASS_WORKER"


@dataclass(frozen=True, slots=True)
class WorkerInheritance:
    """The listening sockets, the stretch of counters and the lifeline of one worker.

    `counters` is for `Counters`. `ready_fd` is one end of a socket: write one byte when accepting
    (`ready`); reading its end means that the supervisor is gone, and so should the worker.
    `beside` is where the supervisor itself listens, which no client may reach through a worker.
    """

    sockets: list[socket.socket]
    counters: memoryview
    slot: int
    ready_fd: int
    beside: tuple[ListenAddress, ...] = ()

    def ready(self) -> None:
        """Tell the supervisor that this worker accepts. `OSError` if there is none any more."""
        os.write(self.ready_fd, b"+")


def bequeath(
    sockets: list[int], counters: int, slot: int, ready: int, beside: Sequence[ListenAddress] = ()
) -> str:
    """The value of `VARIABLE` that hands over these descriptors and addresses."""
    descriptors = {"sockets": sockets, "counters": counters, "ready": ready}
    return json.dumps({**descriptors, "slot": slot, "beside": [str(one) for one in beside]})


def inherit(environ: MutableMapping[str, str]) -> WorkerInheritance | None:
    """Take what a supervisor handed over, and the variable out of `environ`; None without one.

    Raises `ConfigurationError` where the variable was set by something else.
    """
    text = environ.pop(VARIABLE, None)
    if text is None:
        return None
    try:
        described = json.loads(text)
        slot = int(described["slot"])
        shared = memoryview(mmap.mmap(described["counters"], 0)).cast("q")
        return WorkerInheritance(
            sockets=[socket.socket(fileno=fd) for fd in described["sockets"]],
            counters=shared[slot * SLOTS : (slot + 1) * SLOTS],
            slot=slot,
            ready_fd=int(described["ready"]),
            beside=tuple(ListenAddress.parse(text) for text in described["beside"]),
        )
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise ConfigurationError(
            f"environment: {VARIABLE}: for the program's own use, unset it ({error})"
        ) from None


def counters_bytes(workers: int) -> int:
    """The size of the shared counters of so many workers."""
    return workers * SLOTS * SLOT_BYTES
