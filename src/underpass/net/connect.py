"""Opens TCP and TLS streams to literal addresses."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl

from underpass.address import Address, IPAddress
from underpass.errors import DialError, Failure
from underpass.net.clock import Alarm, TimeLimit
from underpass.net.os_errors import failure_of
from underpass.net.transport import TLS_SHUTDOWN_SECONDS, TransportStream

# A dead destination is noticed after 60 s of silence and 4 probes, two minutes in all: sooner than
# the hour-long defaults of kernels, later than a mobile network's short outages.
KEEPALIVE_IDLE = 60
KEEPALIVE_INTERVAL = 15
KEEPALIVE_PROBES = 4
# As nothing is probed before, streams that end sooner than this are spared the asking.
KEEPALIVE_AFTER = 5.0


# What this system knows of them, looked up once instead of at every stream.
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (
            ("TCP_KEEPIDLE", KEEPALIVE_IDLE),
            ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL),
            ("TCP_KEEPCNT", KEEPALIVE_PROBES),
        )
        if hasattr(socket, name)
    ),
)


def set_keepalive(sock: socket.socket) -> None:
    """Ask the kernel to find a dead peer; accepted sockets inherit it from their listener."""
    for level, option, value in _KEEPALIVE:
        sock.setsockopt(level, option, value)


def _keep_alive(stream: TransportStream) -> None:
    lent = stream.transport.get_extra_info("socket")
    if lent is None:
        # Gone, beneath a TLS stream that was told instead of this one.
        return
    # What can't be asked is reset, or closed and about to tell: whoever uses it learns that.
    with contextlib.suppress(OSError, ValueError):
        # uvloop wraps the descriptor anew at every call on the socket it lends; we do so once.
        sock = socket.socket(lent.family, socket.SOCK_STREAM, 0, lent.fileno())
        try:
            set_keepalive(sock)
        finally:
            sock.detach()


def _keep_alive_late(stream: TransportStream) -> None:
    # It may be closed, and just about to tell.
    with contextlib.suppress(OSError, ValueError):
        _keep_alive(stream)


class Connector:
    """Opens TCP streams, each within `timeout` seconds: what many dials have in common.

    Streams are asked to be kept alive once they are `keep_alive_after` seconds old; 0: at once.
    """

    def __init__(self, timeout: float, keep_alive_after: float = KEEPALIVE_AFTER) -> None:
        self._dialling: Alarm[TimeLimit] = Alarm(timeout, TimeLimit.expire)
        self._young: Alarm[TransportStream] = Alarm(keep_alive_after, _keep_alive_late)

    async def connect(self, ip: IPAddress, port: int) -> TransportStream:
        """Connect to a literal address.

        Raises `DialError`: CONNECTION_TIMEOUT, CONNECTION_REFUSED, …, as `failure_of` maps them.
        """
        loop = asyncio.get_running_loop()
        try:
            with TimeLimit(None, self._dialling):
                _, stream = await loop.create_connection(TransportStream, str(ip), port)
            if not self._young.seconds:
                _keep_alive(stream)
        except TimeoutError:
            details = f"{Address(str(ip), port)} after {self._dialling.seconds:g} s"
            raise DialError(Failure.CONNECTION_TIMEOUT, details) from None
        except OSError as error:
            raise DialError(failure_of(error), str(Address(str(ip), port))) from error
        if self._young.seconds:
            stream.on_lost(self._young.end)
            self._young.begin(stream)
        return stream


async def connect_tcp(ip: IPAddress, port: int, timeout: float) -> TransportStream:
    """Connect to a literal address within `timeout` seconds; raises as `Connector.connect` does."""
    return await Connector(timeout, keep_alive_after=0).connect(ip, port)


async def connect_tls(
    stream: TransportStream, context: ssl.SSLContext, server_name: str, timeout: float
) -> TransportStream:
    """Start TLS as client on `stream`, verify `server_name`, and return the stream.

    Raises `DialError` (UPSTREAM_TLS, UPSTREAM_CERTIFICATE, CONNECTION_TIMEOUT); the stream is then
    aborted.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout):
            transport = await loop.start_tls(
                stream.transport,
                stream,
                context,
                server_hostname=server_name,
                ssl_shutdown_timeout=TLS_SHUTDOWN_SECONDS,
            )
    except TimeoutError:
        stream.abort()
        raise DialError(Failure.CONNECTION_TIMEOUT, f"TLS with {server_name}") from None
    except OSError as error:
        stream.abort()
        details = getattr(error, "verify_message", "") or getattr(error, "reason", "") or ""
        raise DialError(failure_of(error), f"{server_name}: {details}".rstrip(": ")) from error
    if transport is None:
        raise DialError(Failure.CONNECTION_TERMINATED, f"TLS with {server_name}")
    stream.attach(transport)
    return stream
