"""`TransportStream`: a `Stream` on an asyncio or uvloop transport, TCP, unix or TLS.

It is the transport's protocol itself, so that the hot path (two of them spliced together by
`underpass.net.splice`) is one Python call a read: what arrives is written to the other transport,
and the transports' own buffers carry the back-pressure. Outside a splice, what arrives waits in a
bounded buffer until `receive` takes it. Worth knowing:
- uvloop may deliver the first data although reading was paused in `connection_made`, so data is
  always taken, and pausing only bounds what comes after it.
- A TLS transport cannot half-close. When the other end's bytes stop without its close_notify, the
  transport tells `connection_lost(None)` and never `eof_received`: that is truncation, and counts
  as a reset.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import cast

from underpass.address import Address
from underpass.errors import StreamClosed, StreamError
from underpass.net.ending import Splice
from underpass.net.line import Line, line_of
from underpass.net.os_errors import stream_error
from underpass.net.stream import PORTION, RECEIVE_SIZE, Sink, Stream
from underpass.net.transport_tap import TransportTap
from underpass.net.unread import NONE_UNREAD, Unread

# Unread bytes at which reading pauses. One read brings up to 256 KB with uvloop, so the buffer is
# bounded by this and one read more.
READ_BUFFER = 64 * 1024

# Unsent bytes at which senders wait, but for splices: more than any read, so that most of what has
# come in one piece is sent on without waiting.
WRITE_BUFFER = 256 * 1024
WRITE_BUFFER_LOW = 64 * 1024

# How long, and how much, `close` reads and drops so that bytes still coming cannot turn the end
# into a reset that destroys the answer under way (RFC 9112 9.6). Two seconds cover a round trip.
LINGER_SECONDS = 2.0
LINGER_BYTES = 1024 * 1024

# How long a TLS stream that is closed waits for the other end's close_notify (by default 30 s): a
# round trip, then everything is freed.
TLS_SHUTDOWN_SECONDS = 2.0

# How long `close` waits for the other end to take what is still buffered.
FLUSH_SECONDS = 30.0

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class TransportStream(Unread, asyncio.Protocol, Stream):
    """A `Stream` over an asyncio transport; pass the class itself as protocol factory."""

    __slots__ = (
        "_can_half_close",
        "_closing",
        "_eof_received",
        "_eof_sent",
        "_error",
        "_gone",
        "_line",
        "_loop",
        "_lost",
        "_on_lost",
        "_read_paused",
        "_reader",
        "_sink",
        "_splice",
        "_taker",
        "_transport",
        "_write_paused",
        "_writer",
        "received",
        "sent",
    )

    _transport: asyncio.Transport
    can_pour = True

    def __init__(self) -> None:
        self._chunks = NONE_UNREAD
        self._unread_size = 0
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._gone: asyncio.Future[None] | None = None
        self._error: StreamError | None = None
        self._sink: TransportStream | None = None
        self._line: Line | None = None
        self._splice: Splice | None = None
        self._taker: Callable[[bytes], bool] | None = None
        self._on_lost: Callable[[TransportStream], object] | None = None
        self._can_half_close = True
        self._eof_received = self._eof_sent = self._closing = self._lost = False
        self._read_paused = self._write_paused = False
        self.received = self.sent = 0  # What a splice writes counts as received, by the other.

    def __repr__(self) -> str:
        state = "LOST" if self._lost else "CLOSING" if self._closing else "OPEN"
        return f"<TransportStream {self.peer} {state} {self.received} in {self.sent} out>"

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.attach(cast("asyncio.Transport", transport))

    def attach(self, transport: asyncio.Transport) -> None:
        """Go on over `transport`, as after a TLS handshake over the one before."""
        self._transport = transport
        self._loop = asyncio.get_running_loop()  # To ask is a system call in Python 3.11.
        self._can_half_close = transport.can_write_eof()
        transport.set_write_buffer_limits(high=WRITE_BUFFER, low=WRITE_BUFFER_LOW)

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        sink = self._sink
        if sink is not None:
            sink._transport.write(data)
            return
        if self._taker is not None and self._is_taken(data):
            return
        self._keep_unread(data)
        if self._unread_size >= READ_BUFFER:
            self._pause_reading()
        if self._reader is not None:
            _wake(self._reader)

    def eof_received(self) -> bool:
        self._eof_received = True
        sink = self._sink
        if sink is not None and self._splice is not None:
            if not sink._eof_received:
                sink.end_sending()
            self._splice.ended()
        elif self._taker is not None:
            self._is_taken(b"")
        if self._reader is not None:
            _wake(self._reader)
        return self._can_half_close  # TLS transports close whatever we say.

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        in_order = exc is None and (self._eof_received or self._closing)
        if not in_order and self._error is None:
            self._error = stream_error(exc)
        if self._taker is not None:
            self._is_taken(b"")
        self._wake_all()
        if self._splice is not None:
            self._splice.lost(self, self._error)
        if self._on_lost is not None:
            self._on_lost(self)

    def pause_writing(self) -> None:
        self._write_paused = True
        if self._sink is not None:
            self._sink._pause_reading()

    def resume_writing(self) -> None:
        if self._line is not None and self._line.holds():
            return
        self._write_paused = False
        if self._sink is not None:
            self._sink._resume_reading()
        if self._writer is not None:
            _wake(self._writer)

    # The contract of `Stream`.

    async def receive(self, limit: int = RECEIVE_SIZE) -> bytes:
        while not self._chunks:
            if self._closing:
                raise StreamClosed("closed by this end")
            if self._error is not None:
                raise self._error
            if self._eof_received or self._lost:
                return b""
            self._resume_reading()
            self._reader = reader = self._loop.create_future()
            await reader
            self._reader = None
        data = self._take_unread(limit)
        if self._read_paused and not self._chunks:
            self._resume_reading()  # Who receives no more for now must see its end all the same.
        return data

    def send_at_once(self, data: bytes) -> bool:
        self._check_sendable()
        transport = self._transport
        if (
            self._write_paused
            or transport.get_write_buffer_size() + len(data) > WRITE_BUFFER
            or transport.is_closing()
        ):
            return False
        self.sent += len(data)
        transport.write(data)
        if self._line is not None and self._line.holds():
            self.pause_writing()
        return True

    async def send(self, data: bytes) -> None:
        if self.send_at_once(data):
            return
        self.sent += len(data)
        # A TLS transport takes all it is given, and says only then that it was too much.
        view = data if len(data) <= WRITE_BUFFER else memoryview(data)
        for start in range(0, len(data), WRITE_BUFFER):
            self._transport.write(view[start : start + WRITE_BUFFER])
            # A transport that failed while writing tells of it only when the loop has its turn.
            while self._write_paused or self._transport.is_closing():
                self._writer = self._loop.create_future()
                await self._writer
                self._check_sendable()

    def _check_sendable(self) -> None:
        if self._closing or self._eof_sent:
            raise StreamClosed("closed by this end")
        if self._error is not None:
            raise self._error
        if self._lost:
            raise StreamClosed("closed by the other end")

    def keep_shallow(self) -> None:
        self._line = line_of(self._transport)

    @property
    def portion(self) -> int:
        return self._line.portion if self._line is not None else PORTION

    async def send_eof(self) -> None:
        self.end_sending()

    def end_sending(self) -> None:
        """`send_eof` without waiting: the transport sends FIN when its buffer is empty."""
        if self._eof_sent or self._lost or self._closing:
            return
        self._eof_sent = True
        if self._can_half_close:
            # The transport may know already that the other end is gone, before it tells us.
            with contextlib.suppress(OSError):
                self._transport.write_eof()
        else:
            self.close_soon()

    async def close(self) -> None:
        if self._can_half_close and not self._lost and not self._closing:
            self.end_sending()
            with contextlib.suppress(StreamError, TimeoutError):
                await self._linger()
        self.close_soon()
        await self.wait_flushed(FLUSH_SECONDS)

    async def _linger(self) -> None:
        dropped = 0
        async with asyncio.timeout(LINGER_SECONDS):
            while dropped < LINGER_BYTES:
                data = await self.receive()
                if not data:
                    return
                dropped += len(data)

    def close_soon(self) -> None:
        if not self._closing:
            self._stop_calls()
            # asyncio's TLS transport forgets its own state when it is closed a second time, and the
            # other end may have closed it the first time.
            if not self._transport.is_closing():
                self._transport.close()

    def _stop_calls(self) -> None:
        self._closing = True
        self._drop_unread()
        self._wake_all()

    async def wait_flushed(self, timeout: float) -> None:
        """After `close_soon`, wait until all is delivered; abort after `timeout` seconds."""
        if self.is_flushed:
            return
        self._gone = self._loop.create_future()
        try:
            async with asyncio.timeout(timeout):
                await self._gone
        except TimeoutError:
            self.abort()

    def abort(self) -> None:
        if self._lost or (self._closing and not self._transport.get_write_buffer_size()):
            # Gone, or going in order with nothing left to deliver: a reset would undo that.
            return
        self._stop_calls()
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            # Without it, closing a socket with an empty buffer sends FIN, which says "complete".
            # ValueError is uvloop's word for a socket that is gone already.
            with contextlib.suppress(OSError, ValueError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()

    @property
    def peer(self) -> Address | None:
        return _literal(self._transport.get_extra_info("peername"))

    @property
    def is_quiet(self) -> bool:
        ended = self._eof_received or self._eof_sent or self._lost or self._closing
        return not (self._chunks or ended)

    @property
    def is_lost(self) -> bool:
        return self._lost

    @property
    def is_flushed(self) -> bool:
        """Whether nothing that was sent still waits here."""
        return self._lost or not self._transport.get_write_buffer_size()

    def on_lost(self, tell: Callable[[TransportStream], object]) -> None:
        """Call `tell` with this stream when it is gone, if it is not yet."""
        self._on_lost = tell

    @property
    def transport(self) -> asyncio.Transport:
        """The transport beneath, for TLS to be started on it."""
        return self._transport

    @property
    def local(self) -> Address | None:
        """The literal address of this end; None for a unix socket."""
        return _literal(self._transport.get_extra_info("sockname"))

    # Without tasks: an offer, pouring, and the splice, which is that for two transports.

    def offer_next(self, taker: Callable[[bytes], bool] | None) -> None:
        """Offer what comes next on a quiet stream to `taker`, once, before anybody receives it.

        What it does not take is received as ever; so is an end or a loss, which it is told as
        ``b""``. None withdraws the offer.
        """
        self._taker = taker

    def _is_taken(self, data: bytes) -> bool:
        taker, self._taker = self._taker, None
        return taker is not None and taker(data)

    def pour(self, sink: Sink) -> TransportTap:
        return TransportTap(self, sink)

    def splice(self, sink: TransportStream, splice: Splice) -> None:
        """Write all that has come and comes in to `sink`, and tell `splice` of the end."""
        self._splice = splice
        self._sink = sink
        for data in self._chunks:
            sink._transport.write(data)
        self._drop_unread()
        if self._lost:
            splice.lost(self, self._error)
        elif self._eof_received:
            sink.end_sending()
            splice.ended()
        else:
            (self._pause_reading if sink._write_paused else self._resume_reading)()

    def leave_splice(self) -> None:
        """Both streams are at their end."""
        self._sink = self._splice = None

    def _pause_reading(self) -> None:
        if not (self._read_paused or self._eof_received or self._lost or self._closing):
            self._read_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._read_paused and not (self._lost or self._closing):
            self._read_paused = False
            self._transport.resume_reading()

    def _wake_all(self) -> None:
        if self._reader is not None:
            _wake(self._reader)
        if self._writer is not None:
            _wake(self._writer)
        if self._gone is not None:
            _wake(self._gone)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _literal(name: object) -> Address | None:
    if not isinstance(name, tuple):
        return None
    # An IPv6 link-local name carries its zone, which is no part of the address.
    return Address.of(str(name[0]).partition("%")[0], int(name[1]))
