"""A stream with the reader of the HTTP messages that come in over it."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

from underpass.net.stream import Stream
from underpass.protocol.http.message import Event, MessageReader, Signal

Reader = TypeVar("Reader", bound=MessageReader)


class MessageStream(Generic[Reader]):
    """Feeds what `stream` receives to `reader`, which is free to be asked for its state."""

    __slots__ = ("reader", "stream")

    def __init__(self, stream: Stream, reader: Reader) -> None:
        self.stream = stream
        self.reader = reader

    async def next_event(self) -> Event:
        """Return the next event, never NEED_DATA.

        Raises `RemoteProtocolError`, and `StreamError` as `Stream.receive` does.
        """
        event = self.reader.next_event()
        while event is Signal.NEED_DATA:
            await self.fill()
            event = self.reader.next_event()
        return event

    async def next_event_within(self, seconds: float | None) -> Event:
        """The same with a time-out: raises `TimeoutError`. What is there already costs no timer."""
        event = self.reader.next_event()
        if event is not Signal.NEED_DATA:
            return event
        async with asyncio.timeout(seconds):
            return await self.next_event()

    async def fill(self) -> None:
        """Receive once and hand it to the reader."""
        data = await self.stream.receive()
        if data:
            self.reader.receive_data(data)
        else:
            self.reader.receive_eof()

    def release(self) -> Stream:
        """Put what the reader has not consumed back in front of the stream, and return that."""
        self.stream.unread(self.reader.release())
        return self.stream
