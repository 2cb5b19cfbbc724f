"""Listening: sockets bound, connections accepted within limits, each served by its own task.

We accept ourselves instead of through `loop.create_server`, because the limits need it: at the
limit a connection is told so, at the file limit accepting rests instead of spinning, and the oldest
connection that has said nothing useful makes room for a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
import stat
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from underpass.address import ListenAddress
from underpass.errors import ConfigurationError
from underpass.net.connect import set_keepalive
from underpass.net.gate import Gate, Ticket
from underpass.net.transport import TLS_SHUTDOWN_SECONDS, TransportStream
from underpass.observe import Counter

# Connections the kernel holds for us while we are busy; it caps this by net.core.somaxconn.
BACKLOG = 4096

# Connections taken from one socket before other work has its turn.
ACCEPT_BATCH = 64

# How long accepting rests when the process is out of files. Streams that end meanwhile free some.
ACCEPT_REST = 0.25

# A TLS hello that takes longer is a slow attack or a dead network (RFC 8446 sets no bound).
TLS_HANDSHAKE_SECONDS = 10.0

_OUT_OF_FILES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

# What to do about the commonest reasons.
_HINTS = {
    errno.EADDRINUSE: "; stop what listens there, or choose another address",
    errno.EACCES: "; choose a port from 1024 up, or a folder of your own",
    errno.EADDRNOTAVAIL: "; this machine has no such address",
}

Handler = Callable[[TransportStream, Ticket], Awaitable[None]]


class _Plain(socket.socket):
    """A stream socket that says of itself in plain numbers what accepting and transports ask.

    `socket.socket` makes a member of an enum of each answer, a microsecond each time.
    """

    __slots__ = ()

    @property
    def family(self) -> int:  # type: ignore[override]  # the member of the enum is a number too
        return _plain_family(self)

    @property
    def type(self) -> int:  # type: ignore[override]  # likewise
        return _STREAM

    def accept(self) -> tuple[socket.socket, Any]:
        descriptor, name = self._accept()  # type: ignore[attr-defined]  # as `accept` itself does
        return _Plain(_plain_family(self), _STREAM, 0, descriptor), name


_plain_family: Callable[[socket.socket], int] = socket.SocketType.family.__get__
_STREAM = int(socket.SOCK_STREAM)


@dataclass(frozen=True, slots=True)
class Service:
    """What a listener does with what it accepts.

    `shed` is sent, without waiting, to a connection over a limit. `tls` makes every connection TLS.
    """

    handler: Handler
    gate: Gate
    tls: ssl.SSLContext | None = None
    shed: bytes = b""


def bind(address: ListenAddress, *, reuse_port: bool = False) -> list[socket.socket]:
    """Bind and listen on `address`: one socket, or one an address where a name has several.

    Raises `ConfigurationError` with the reason.
    """
    try:
        if address.path is not None:
            return [_bind_unix(address.path)]
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        return [_bind_tcp(*entry, reuse_port=reuse_port) for entry in _distinct(found)]
    except OSError as error:
        reason = error.strerror or str(error)
        hint = _HINTS.get(error.errno or 0, "")
        raise ConfigurationError(f"can't listen on {address}: {reason}{hint}") from error


def bind_all(addresses: Iterable[ListenAddress]) -> list[socket.socket]:
    """Bind and listen on all of them, or on none. Raises `ConfigurationError` with the reason."""
    with contextlib.ExitStack() as undo:
        sockets: list[socket.socket] = []
        for address in addresses:
            for sock in bind(address):
                undo.callback(sock.close)
                sockets.append(sock)
        undo.pop_all()
    return sockets


def _distinct(found: Sequence[tuple[int, int, int, str, Any]]) -> list[tuple[int, Any]]:
    # A host file may name one address twice.
    return list(dict.fromkeys((family, sockaddr) for family, _, _, _, sockaddr in found))


def _bind_tcp(family: int, sockaddr: Any, *, reuse_port: bool) -> socket.socket:
    sock = _Plain(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # Each family has a listener of its own, on every system alike.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        set_keepalive(sock)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind(sockaddr)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _bind_unix(path: str) -> socket.socket:
    """Bind a unix socket that only its owner can use; a socket left by a dead process goes."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(path).st_mode) and not _answers(path):
            os.unlink(path)
    sock = _Plain(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # The mode is set before listening: until then nobody can connect.
        sock.bind(path)
        os.chmod(path, 0o600)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
        return True


def listening_on(sock: socket.socket) -> ListenAddress:
    """The address that `sock` is really bound to."""
    name = sock.getsockname()
    if isinstance(name, tuple):
        return ListenAddress(name[0], name[1])
    return ListenAddress(None, 0, name)


class Listener:
    """Accepts on bound sockets until it is stopped; every connection is a task of `tasks`."""

    def __init__(
        self, sockets: Sequence[socket.socket], service: Service, tasks: asyncio.TaskGroup
    ) -> None:
        self._sockets = list(sockets)
        self._service = service
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        self._rest: asyncio.TimerHandle | None = None
        self._stopped = False

    def start(self) -> None:
        """Begin, or go on, accepting."""
        self._rest = None
        if not self._stopped:
            for sock in self._sockets:
                self._loop.add_reader(sock, self._accept, sock)

    def stop(self) -> None:
        """Stop accepting and close the sockets; connections already accepted go on."""
        if self._stopped:
            return
        self._stopped = True
        self._pause()
        if self._rest is not None:
            self._rest.cancel()
        for sock in self._sockets:
            name = sock.getsockname()
            sock.close()
            if isinstance(name, str):
                # Nobody answers at that path any more, so it goes too.
                with contextlib.suppress(OSError):
                    os.unlink(name)

    def _pause(self) -> None:
        for sock in self._sockets:
            self._loop.remove_reader(sock)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(ACCEPT_BATCH):
            try:
                sock, name = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in _OUT_OF_FILES:
                    self._service.gate.counters.add(Counter.ACCEPT_PAUSES)
                    self._pause()
                    self._rest = self._loop.call_later(ACCEPT_REST, self.start)
                return
            self._admit(sock, name[0] if isinstance(name, tuple) else "unix")

    def _admit(self, sock: socket.socket, client: str) -> None:
        ticket = self._service.gate.admit(client)
        if ticket is None:
            _shed(sock, b"" if self._service.tls else self._service.shed)
            return
        self._tasks.create_task(self._serve(sock, ticket), name=f"client {client}")

    async def _serve(self, sock: socket.socket, ticket: Ticket) -> None:
        task = asyncio.current_task(self._loop)
        if task is not None:
            ticket.on_evict(task.cancel)
        try:
            stream = await self._stream(sock)
            try:
                await self._service.handler(stream, ticket)
            finally:
                # The handler has ended the stream in order; this frees it where it could not.
                if not ticket.is_kept:
                    stream.abort()
        except OSError:
            # A failed TLS handshake: there is nobody to tell.
            sock.close()
        finally:
            if not ticket.is_kept:
                ticket.leave()

    async def _stream(self, sock: socket.socket) -> TransportStream:
        tls = self._service.tls
        # uvloop returns its own TLS protocol, not ours, so we keep what the factory made.
        stream = TransportStream()
        try:
            if tls is None:
                await self._loop.connect_accepted_socket(lambda: stream, sock)
            else:
                await self._loop.connect_accepted_socket(
                    lambda: stream,
                    sock,
                    ssl=tls,
                    ssl_handshake_timeout=TLS_HANDSHAKE_SECONDS,
                    ssl_shutdown_timeout=TLS_SHUTDOWN_SECONDS,
                )
        except asyncio.CancelledError:
            sock.close()
            raise
        return stream


def _shed(sock: socket.socket, answer: bytes) -> None:
    with sock, contextlib.suppress(OSError):
        if answer:
            # The transport would make the socket non-blocking, but there is none.
            sock.setblocking(False)
            sock.send(answer)
            sock.shutdown(socket.SHUT_WR)
