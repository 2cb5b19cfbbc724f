"""A stream with the reader of the HTTP messages that come in over it."""

from __future__ import annotations

from typing import Generic, TypeVar

from underpass.errors import StreamTimeout
from underpass.net.clock import Patience, TimeLimit
from underpass.net.stream import Stream
from underpass.protocol.http.message import NEED_DATA, Event, MessageReader

# An answer of our own is a packet or two. A client that does not take it within this time is given
# up: it asks without reading, which is a way to fill memory.
ANSWER_SECONDS = 10.0

# Pieces of a body that came at once, after which others get their turn: tiny chunks cost as much
# each as large ones, and a receive that need not wait gives nobody one.
MANY_PIECES = 64

Reader = TypeVar("Reader", bound=MessageReader)


class MessageStream(Generic[Reader]):
    """Feeds what `stream` receives to `reader`, which is free to be asked for its state."""

    __slots__ = ("_patience", "reader", "stream")

    def __init__(self, stream: Stream, reader: Reader) -> None:
        self.stream = stream
        self.reader = reader
        self._patience = Patience()

    async def next_event(self) -> Event:
        """Return the next event, never NEED_DATA.

        Raises `RemoteProtocolError`, and `StreamError` as `Stream.receive` does.
        """
        event = self.reader.next_event()
        while event is NEED_DATA:
            self.hand_over(await self.stream.receive())
            event = self.reader.next_event()
        return event

    async def next_event_within(self, seconds: float | None) -> Event:
        """The same with a time-out: raises `TimeoutError`. What is there already costs no timer."""
        event = self.reader.next_event()
        if event is NEED_DATA:
            with self._patience.within(seconds):
                while event is NEED_DATA:
                    self.hand_over(await self.stream.receive())
                    event = self.reader.next_event()
        return event

    async def send_within(self, data: bytes, seconds: float | None) -> None:
        """Send all of `data`; raises `StreamTimeout` where the other end takes none of it so long.

        And `StreamError` as `Stream.send` does.
        """
        if self.stream.send_at_once(data):
            return
        try:
            with TimeLimit(seconds):
                await self.stream.send(data)
        except TimeoutError:
            raise StreamTimeout("the other end stopped reading") from None

    async def fill_within(self, seconds: float | None) -> None:
        """`fill` with a time-out: raises `TimeoutError`."""
        with self._patience.within(seconds):
            self.hand_over(await self.stream.receive())

    def stop_waiting(self) -> None:
        """End a wait of `fill_within` or `next_event_within` as if its time were over."""
        self._patience.expire()

    def end(self) -> None:
        """Let go of what waits need; nothing waits any more."""
        self._patience.end()

    async def fill(self) -> None:
        """Receive once and hand it to the reader."""
        self.hand_over(await self.stream.receive())

    def hand_over(self, data: bytes) -> None:
        """Let the reader have what was received; ``b""`` is the other end's end."""
        if data:
            self.reader.receive_data(data)
        else:
            self.reader.receive_eof()

    def release(self) -> Stream:
        """Put what the reader has not consumed back in front of the stream, and return that."""
        self.end()
        self.stream.unread(self.reader.release())
        return self.stream
