"""Binary messages over a stream that has become a WebSocket (RFC 6455), and a feed on either side.

The opening handshake is HTTP, which is ours. Once a feed is joined no task takes part: what comes
goes to the feed from the transport's own call, and what the feed has goes out once a turn of the
loop, so that many streams that send in one turn share a record and a write.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib

from underpass.carriers.base import CarrierError, Feed
from underpass.carriers.websocket_frames import (
    BINARY,
    CLOSE,
    MAX_MESSAGE_BYTES,
    PONG,
    FrameReader,
    Masks,
    frame_head,
    make_frame,
    masked,
)
from underpass.errors import RemoteProtocolError, StreamError
from underpass.net.stream import PORTION, Stream, Tap
from underpass.protocol.frames import Payload
from underpass.protocol.record import MAX_RECORD_BYTES

# Where less than this was taken of a whole portion, another record would have fitted in: there was
# none.
_MORE_BYTES = PORTION - MAX_RECORD_BYTES

# Messages that are sent in one turn of the loop, while the stream takes them: other work waits.
MESSAGES_AT_ONCE = 4

# Up to so much, joining is cheaper than giving the parts to the system one by one.
_JOINED_BYTES = 16 * 1024

RECEIVE_BYTES = 256 * 1024

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_value(key: bytes) -> bytes:
    """The value of Sec-WebSocket-Accept for a key (RFC 6455 section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


class Messages:
    """The WebSocket on `stream`: single messages at its opening, then a feed's (`run_messages`)."""

    def __init__(self, stream: Stream, *, is_client: bool) -> None:
        self.stream = stream
        stream.keep_shallow()
        self.reader = FrameReader(is_masked=not is_client)
        self.masks = Masks() if is_client else None
        self.clock = asyncio.get_running_loop().time
        self.moved_at = self.clock()

    @property
    def silence(self) -> float:
        """For how many seconds nothing has been sent or received."""
        return self.clock() - self.moved_at

    async def send(self, message: bytes) -> None:
        """Send one message. Raises as `Stream.send`."""
        self.moved_at = self.clock()
        await self.stream.send(make_frame(BINARY, message, self.masks))

    async def receive_one(self) -> bytes | None:
        """The next message, whole; None when the other end has closed.

        Raises `StreamError`, and `RemoteProtocolError` for what is no WebSocket message of ours.
        """
        reader = self.reader
        parts: list[Payload] = []
        while not reader.has_message:
            data = await self.stream.receive(RECEIVE_BYTES)
            if not data:
                return None
            self.moved_at = self.clock()
            parts += reader.feed(data, one=True)
            if reader.ping is not None:
                await self.stream.send(self.pong())
            if reader.closing is not None and not reader.has_message:
                await self.stream.send(make_frame(CLOSE, reader.closing, self.masks))
                return None
            if sum(map(len, parts)) > MAX_MESSAGE_BYTES:
                raise RemoteProtocolError("WebSocket: a message too long")
        reader.has_message = False
        self.stream.unread(reader.rest)
        return b"".join(parts)

    def pong(self) -> bytes:
        """The answer to the latest ping: those before it need none (section 5.5.3)."""
        ping, self.reader.ping = self.reader.ping or b"", None
        return make_frame(PONG, ping, self.masks)


async def run_messages(messages: Messages, feed: Feed) -> None:
    """Move records both ways until either end has enough. Raises `CarrierError` for every end."""
    pump = _Pump(messages, feed)
    try:
        pump.start()
        reason = await pump.ended_with
        pump.stop()
        # What was sent last is still delivered, as a session's last word may be in it.
        await messages.stream.close()
    except asyncio.CancelledError:
        messages.stream.abort()
        raise
    finally:
        pump.stop()
    raise CarrierError(reason)


class _Pump:
    """Moves between a WebSocket and a feed, within the calls of both: a `Sink`."""

    def __init__(self, messages: Messages, feed: Feed) -> None:
        self._messages = messages
        self._feed = feed
        self._loop = asyncio.get_running_loop()
        self._tap: Tap = messages.stream.pour(self)
        self._is_due = False
        self.ended_with: asyncio.Future[str] = self._loop.create_future()

    def start(self) -> None:
        self._feed.watch(self._wake)
        self._tap.go_on()
        self._wake()

    def stop(self) -> None:
        """Have nothing more to do with either."""
        self._end("stopped")
        self._feed.watch(None)
        self._tap.stop()

    def _end(self, reason: str) -> None:
        if not self.ended_with.done():
            self.ended_with.set_result(reason)

    # What the feed has goes out.

    def _wake(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._send)

    def ready(self) -> None:
        self._wake()

    def _send(self) -> None:
        self._is_due = False
        for _ in range(MESSAGES_AT_ONCE):
            # Full, it says when it is ready.
            if self._tap.is_full or self.ended_with.done():
                return
            portion = self._messages.stream.portion
            records = self._feed.take(portion)
            if not records:
                if self._feed.reason is not None:
                    self._end(self._feed.reason)
                return
            self._messages.moved_at = self._messages.clock()
            taken = self._put(records)
            if portion >= PORTION and taken < _MORE_BYTES and self._feed.reason is None:
                # There was no more.
                return
        self._wake()

    def _put(self, records: list[bytes]) -> int:
        """Send records as one message, with no copy of many bytes that need not be; their size."""
        masks = self._messages.masks
        size = sum(map(len, records))
        if masks is not None:
            mask = masks.next()
            data = records[0] if len(records) == 1 else b"".join(records)
            head, records = frame_head(BINARY, size, mask), [masked(data, mask)]
        else:
            head = frame_head(BINARY, size)
        if size <= _JOINED_BYTES:
            self._tap.put(b"".join((head, *records)))
        else:
            self._tap.put(head, *records)
        return size

    # What comes goes to the feed.

    def came(self, data: Payload) -> None:
        if self.ended_with.done():
            return
        messages, reader = self._messages, self._messages.reader
        messages.moved_at = messages.clock()
        try:
            pieces = reader.feed(bytes(data))
        except RemoteProtocolError as error:
            self._end(f"the WebSocket was cut: {error}")
            return
        if len(pieces) > 1 and len(data) <= _JOINED_BYTES:
            # One look at what it brought instead of many.
            pieces = [b"".join(pieces)]
        for piece in pieces:
            self._feed.receive(piece)
        if reader.ping is not None and not self._tap.is_full:
            self._tap.put(messages.pong())
        if reader.closing is not None:
            self._tap.put(make_frame(CLOSE, reader.closing, messages.masks))
            self._end("the WebSocket was closed")

    def ended(self) -> None:
        self._end("the WebSocket was closed")

    def lost(self, error: StreamError | None) -> None:
        self._end(f"the WebSocket was cut: {error}" if error else "the WebSocket was closed")
