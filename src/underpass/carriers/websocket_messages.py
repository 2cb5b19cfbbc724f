"""Binary messages over a stream that has become a WebSocket (RFC 6455), and a feed on either side.

The frames are the `websockets` library's; the opening handshake is HTTP, which is ours.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib

from websockets.exceptions import WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, Protocol, Side

from underpass.carriers.base import CarrierError, Feed
from underpass.carriers.calls import side_by_side
from underpass.errors import RemoteProtocolError, StreamError
from underpass.net.stream import Stream

# What is taken from a session at once: two records. More would wait here instead of there, where
# what is urgent can still go before it.
TAKE_BYTES = 128 * 1024

# No message of ours is longer; a frame that says so is refused from its head alone.
MAX_MESSAGE_BYTES = 1024 * 1024

RECEIVE_BYTES = 256 * 1024

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_value(key: bytes) -> bytes:
    """The value of Sec-WebSocket-Accept for a key (RFC 6455 section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


class Messages:
    """Binary messages, each whole, over `stream`; pings are answered, a close is an end."""

    def __init__(self, stream: Stream, *, is_client: bool) -> None:
        self.stream = stream
        stream.keep_shallow()
        side = Side.CLIENT if is_client else Side.SERVER
        self._protocol = Protocol(side, state=OPEN, max_size=MAX_MESSAGE_BYTES)
        self._parts: list[bytes] = []
        self._kept: list[bytes] = []
        self._sending = asyncio.Lock()
        self._clock = asyncio.get_running_loop().time
        self._moved_at = self._clock()

    @property
    def silence(self) -> float:
        """For how many seconds nothing has been sent or received."""
        return self._clock() - self._moved_at

    async def send(self, message: bytes) -> None:
        """Send one message. Raises as `Stream.send`."""
        self._protocol.send_binary(message)
        async with self._sending:
            await self._flush()

    async def _flush(self) -> None:
        """Send what the protocol has to say, and what it says meanwhile."""
        while data := b"".join(self._protocol.data_to_send()):
            self._moved_at = self._clock()
            await self.stream.send(data)

    async def _answer(self) -> None:
        """Send the answer to a ping or a close; who sends at the moment sends that too."""
        if not self._sending.locked():
            async with self._sending:
                await self._flush()

    async def receive(self) -> list[bytes]:
        """Return the messages that come next, at least one; empty when the other end has closed.

        Raises `StreamError`, and `RemoteProtocolError` for what is no WebSocket message of ours.
        """
        if self._kept:
            kept, self._kept = self._kept, []
            return kept
        while True:
            data = await self.stream.receive(RECEIVE_BYTES)
            if not data:
                return []
            self._moved_at = self._clock()
            try:
                self._protocol.receive_data(data)
            except WebSocketException as error:
                raise RemoteProtocolError(f"WebSocket: {error}") from error
            messages: list[bytes] = []
            is_closed = False
            for frame in self._protocol.events_received():
                if isinstance(frame, Frame):
                    is_closed = is_closed or frame.opcode is Opcode.CLOSE
                    self._take(frame, messages)
            if self._protocol.parser_exc is not None:
                raise RemoteProtocolError(f"WebSocket: {self._protocol.parser_exc}")
            await self._answer()
            if messages or is_closed:
                return messages

    async def receive_one(self) -> bytes | None:
        """The next message alone, None when the other end has closed. Raises as `receive`."""
        messages = await self.receive()
        self._kept = messages[1:]
        return messages[0] if messages else None

    def _take(self, frame: Frame, messages: list[bytes]) -> None:
        if frame.opcode is Opcode.TEXT:
            raise RemoteProtocolError("WebSocket: a text message")
        if frame.opcode is Opcode.BINARY and frame.fin and not self._parts:
            messages.append(bytes(frame.data))
        elif frame.opcode in (Opcode.BINARY, Opcode.CONT):
            self._parts.append(bytes(frame.data))
            if frame.fin:
                messages.append(b"".join(self._parts))
                self._parts.clear()


async def run_messages(messages: Messages, feed: Feed) -> None:
    """Move records both ways until either end has enough. Raises `CarrierError` for every end."""
    try:
        await side_by_side(_send(messages, feed), _receive(messages, feed))
    except CarrierError:
        # What was sent last is still delivered, as a session's last word may be in it.
        await messages.stream.close()
        raise
    finally:
        messages.stream.abort()


async def _send(messages: Messages, feed: Feed) -> None:
    try:
        while True:
            if records := feed.take(TAKE_BYTES):
                await messages.send(b"".join(records))
            else:
                await feed.output()
    except StreamError as error:
        raise CarrierError(f"the WebSocket was cut: {error}") from error


async def _receive(messages: Messages, feed: Feed) -> None:
    try:
        while received := await messages.receive():
            for message in received:
                feed.receive(message)
    except (StreamError, RemoteProtocolError) as error:
        raise CarrierError(f"the WebSocket was cut: {error}") from error
    raise CarrierError("the WebSocket was closed")
