"""A stream with its reader: what comes goes to the reader, what it leaves goes back."""

from __future__ import annotations

import asyncio

import pytest

from underpass.errors import RemoteProtocolError, StreamClosed, StreamReset, StreamTimeout
from underpass.net.message_stream import MessageStream
from underpass.net.stream import RECEIVE_SIZE, Stream
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import HTTP_11, RequestHead
from underpass.protocol.http.message import EndOfMessage, RequestReader, Signal

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
HEAD = RequestHead(b"GET", b"/", HTTP_11, Fields([(b"Host", b"h")]))


class Scripted(Stream):
    """Receives what it is told to, then is silent; keeps what is sent, takes nothing, or raises."""

    def __init__(self, *pieces: bytes | Exception, takes: bool | Exception = True) -> None:
        self.pieces = list(pieces)
        self.takes = takes
        self.sent: list[bytes] = []
        self.aborted = False

    async def receive(self, limit: int = RECEIVE_SIZE) -> bytes:
        if not self.pieces:
            await asyncio.Event().wait()
        piece = self.pieces.pop(0)
        if isinstance(piece, Exception):
            raise piece
        return piece

    def unread(self, data: bytes) -> None:
        self.pieces.insert(0, data)

    async def send(self, data: bytes) -> None:
        if isinstance(self.takes, Exception):
            raise self.takes
        if not self.takes:
            await asyncio.Event().wait()
        self.sent.append(data)

    async def send_eof(self) -> None:
        self.takes = False

    async def close(self) -> None:
        self.takes = StreamClosed("closed")

    def abort(self) -> None:
        self.aborted = True

    @property
    def peer(self) -> None:
        return None


def messages(*pieces: bytes | Exception, takes: bool = True) -> MessageStream[RequestReader]:
    return MessageStream(Scripted(*pieces, takes=takes), RequestReader())


async def test_events_come_when_enough_has_been_received() -> None:
    inbound = messages(GET[:5], GET[5:] + b"more", b"")
    assert await inbound.next_event() == HEAD
    assert await inbound.next_event() == EndOfMessage(Fields())
    assert await inbound.next_event() is Signal.PAUSED


async def test_the_end_is_told_to_the_reader() -> None:
    assert await messages(b"").next_event() is Signal.END_OF_INPUT
    with pytest.raises(RemoteProtocolError, match="ended within"):
        await messages(GET[:5], b"").next_event()


async def test_what_the_stream_raises_goes_through() -> None:
    with pytest.raises(StreamReset):
        await messages(GET[:5], StreamReset("reset")).next_event()


async def test_silence_ends_after_its_time() -> None:
    inbound = messages(GET[:5])
    with pytest.raises(TimeoutError):
        await inbound.next_event_within(0.001)
    # What came is not lost: the rest makes it whole.
    inbound.stream.unread(GET[5:])
    assert await inbound.next_event_within(5) == HEAD
    assert await inbound.next_event_within(0) == EndOfMessage(Fields())


async def test_a_wait_ends_by_its_time_or_by_hand() -> None:
    inbound = messages(GET)
    await inbound.fill_within(5)
    assert await inbound.next_event() == HEAD
    with pytest.raises(TimeoutError):
        await inbound.fill_within(0.001)
    asyncio.get_running_loop().call_soon(inbound.stop_waiting)
    with pytest.raises(TimeoutError):
        await inbound.fill_within(5)
    inbound.end()


async def test_what_was_not_consumed_stands_in_front_of_the_stream_again() -> None:
    inbound = messages(GET + b"tunnel", b" bytes")
    assert await inbound.next_event() == HEAD
    stream = inbound.release()
    assert await stream.receive() == b"tunnel"
    assert await stream.receive() == b" bytes"


async def test_sending_ends_after_its_time() -> None:
    inbound = messages()
    await inbound.send_within(b"answer", 5)
    await inbound.send_within(b" more", None)
    assert isinstance(inbound.stream, Scripted)
    assert inbound.stream.sent == [b"answer", b" more"]
    with pytest.raises(StreamTimeout, match="stopped reading"):
        await messages(takes=False).send_within(b"answer", 0.001)
