"""The socket at which a running client says how it is: one JSON object to whoever connects.

It is a unix socket in the state directory that only its owner can use.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from underpass.address import ListenAddress
from underpass.errors import ConfigurationError
from underpass.net.gate import Gate, GateLimits, Ticket
from underpass.net.listen import Listener, Service, bind
from underpass.net.stream import Stream

logger = logging.getLogger(__name__)

# Nobody needs more at once.
MAX_ASKERS = 16
# What a status may be long.
MAX_STATUS_BYTES = 64 * 1024
ASK_SECONDS = 5.0

Status = Mapping[str, object]


def socket_path(profile: Path, state: Path) -> Path:
    """Where the client of a profile listens for askers; short, as the path of a socket must be."""
    mark = hashlib.sha256(str(profile.absolute()).encode()).hexdigest()[:16]
    return state / f"client-{mark}.sock"


@contextlib.asynccontextmanager
async def answering(path: Path, status: Callable[[], Status]) -> AsyncIterator[None]:
    """Say `status` to whoever connects to `path`, within the block.

    A client that can't is none the worse: it says so in the log.
    """

    async def serve(stream: Stream, ticket: Ticket) -> None:
        ticket.settled()
        await stream.send(json.dumps(status()).encode())
        await stream.close()

    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        sockets = bind(ListenAddress(None, 0, str(path)))
    except (ConfigurationError, OSError) as error:
        logger.warning("`underpass status` does not ask this client: %s", await _why(path, error))
        yield
        return
    gate = Gate(GateLimits(total=MAX_ASKERS))
    async with asyncio.TaskGroup() as tasks:
        listener = Listener(sockets, Service(serve, gate), tasks)
        listener.start()
        try:
            yield
        finally:
            listener.stop()
            gate.evict_all()


async def _why(path: Path, error: Exception) -> str:
    with contextlib.suppress(ConfigurationError):
        other = await asyncio.to_thread(ask, path)
        return f"it asks the one of this profile that runs already (process {other.get('process')})"
    return f"no control socket: {error}"


def ask(path: Path) -> Status:
    """What the client that listens at `path` says. Raises `ConfigurationError` where none does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asker:
        asker.settimeout(ASK_SECONDS)
        try:
            asker.connect(str(path))
            parts: list[bytes] = []
            size = 0
            while size < MAX_STATUS_BYTES and (data := asker.recv(MAX_STATUS_BYTES)):
                parts.append(data)
                size += len(data)
            status = json.loads(b"".join(parts))
        except (OSError, ValueError):
            raise ConfigurationError(
                "no client of this profile is running; start one with `underpass client`"
            ) from None
    if not isinstance(status, dict):
        raise ConfigurationError("what runs for this profile is no client")
    return status
