"""`TransportTap`: pours what comes over a `TransportStream`, in the transport's own calls.

It takes the stream's place as the protocol of the transport, so that a read is one call, and tells
the stream of what that must know. It is of one piece with `TransportStream`, whose fields it reads.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol, cast

from underpass.errors import StreamError
from underpass.net.line import Line
from underpass.net.stream import Sink, Tap
from underpass.protocol.frames import Payload


class PouringStream(Protocol):
    """What a tap knows of its `TransportStream`."""

    received: int
    sent: int
    _chunks: deque[bytes]
    _unread_size: int
    _write_paused: bool
    _eof_received: bool
    _eof_sent: bool
    _closing: bool
    _lost: bool
    _error: StreamError | None
    _line: Line | None
    _transport: asyncio.Transport

    def eof_received(self) -> bool:
        """FIN has come."""

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""

    def pause_writing(self) -> None:
        """Much waits to be sent."""

    def resume_writing(self) -> None:
        """Little waits to be sent."""

    def end_sending(self) -> None:
        """Send FIN after what waits."""

    def _pause_reading(self) -> None: ...

    def _resume_reading(self) -> None: ...


class TransportTap(asyncio.Protocol, Tap):
    """See the module, and `Tap`."""

    __slots__ = ("_has_begun", "_has_ended", "_sink", "_stream", "_transport")

    def __init__(self, stream: PouringStream, sink: Sink) -> None:
        self._stream = stream
        self._sink: Sink | None = sink
        self._transport = stream._transport
        self._has_begun = False
        self._has_ended = False

    # What the transport calls.

    def data_received(self, data: bytes) -> None:
        self._stream.received += len(data)
        if self._sink is not None:
            self._sink.came(data)

    def eof_received(self) -> bool:
        keep_open = self._stream.eof_received()
        self._tell_end()
        return keep_open

    def connection_lost(self, exc: Exception | None) -> None:
        self._stream.connection_lost(exc)
        self._tell_end()

    def _tell_end(self) -> None:
        if self._sink is None:
            return
        if self._stream._lost:
            sink, self._sink = self._sink, None
            sink.lost(self._stream._error)
        elif self._stream._eof_received and not self._has_ended:
            self._has_ended = True
            self._sink.ended()

    def pause_writing(self) -> None:
        self._stream.pause_writing()

    def resume_writing(self) -> None:
        self._stream.resume_writing()
        if self._sink is not None and not self.is_full:
            self._sink.ready()

    # What a `Tap` is.

    def put(self, *parts: Payload) -> None:
        stream = self._stream
        if stream._eof_sent or stream._lost or stream._closing:
            return
        if len(parts) == 1:
            stream.sent += len(parts[0])
            self._transport.write(parts[0])
        else:
            stream.sent += sum(map(len, parts))
            self._transport.writelines(parts)
        if stream._line is not None and stream._line.holds():
            stream.pause_writing()

    @property
    def is_full(self) -> bool:
        return self._stream._write_paused

    def hold(self) -> None:
        self._stream._pause_reading()

    def go_on(self) -> None:
        # First, as the sink may hold.
        self._stream._resume_reading()
        if not self._has_begun:
            self._begin(self._stream)
        self._tell_end()

    def _begin(self, stream: PouringStream) -> None:
        self._has_begun = True
        if not stream._lost:
            self._transport.set_protocol(self)
        # What has come before is at most a read or two.
        while stream._chunks and self._sink is not None:
            data = stream._chunks.popleft()
            stream._unread_size -= len(data)
            self._sink.came(data)

    def end_sending(self) -> None:
        self._stream.end_sending()

    def stop(self) -> None:
        self._sink = None
        if not self._stream._lost:
            self._transport.set_protocol(cast("asyncio.Protocol", self._stream))
