"""Sends a request's body on to the server while the response may already be coming."""

from __future__ import annotations

import asyncio

from underpass.errors import Failure, RemoteProtocolError, StreamError
from underpass.frontends.http.exchange import Exchange, Refused, refuse
from underpass.frontends.http.state import FrontEndOptions
from underpass.net.message_stream import MANY_PIECES, MessageStream
from underpass.net.stream import Stream
from underpass.protocol.http.chunked import encode_chunk, encode_last_chunk
from underpass.protocol.http.framing import BodyKind
from underpass.protocol.http.message import Data, EndOfMessage, RequestReader

# So much of a body is kept while an upstream proxy may still ask for a login: more than most forms
# and API calls have, and little enough for every request under way.
REPEATABLE_BYTES = 64 * 1024


class SentBody:
    """The beginning of a body as it was sent, to be sent again; `limit` bytes of it at most."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self.pieces: list[bytes] = []

    def add(self, data: bytes) -> None:
        """`data` goes out now."""
        self._size += len(data)
        if self.is_whole:
            self.pieces.append(data)
        else:
            self.pieces.clear()

    @property
    def is_whole(self) -> bool:
        """Whether all that was sent is still here."""
        return self._size <= self._limit


class Upload:
    """One request's body. `failure` is what the client did wrong, after which nothing goes on.

    What is in `sent` already goes out first, then what the client goes on to send.
    """

    def __init__(
        self,
        options: FrontEndOptions,
        inbound: MessageStream[RequestReader],
        server: Stream,
        exchange: Exchange,
        sent: SentBody,
    ) -> None:
        self._options = options
        self._inbound = inbound
        self._server = server
        self._exchange = exchange
        self._sent = sent
        self._chunked = inbound.reader.framing.kind is BodyKind.CHUNKED
        self.failure: StreamError | RemoteProtocolError | Refused | None = None

    async def run(self) -> None:
        """Send all of the body. Raises nothing: a failure is kept, and ends the server's stream.

        For how long is not watched here: whoever waits for the response knows whose turn it is.
        """
        try:
            for piece in self._sent.pieces:
                if not await self._send(piece):
                    return
            while self._exchange.body_unread and (data := await self._next()):
                self._sent.add(data)
                if not await self._send(data):
                    return
        except (StreamError, RemoteProtocolError, Refused) as error:
            self.failure = error
        else:
            return
        # The request can't be completed any more, and the server must not take it for whole.
        self._server.abort()

    async def _next(self) -> bytes:
        """Return what has come for the server, as one chunk where it goes in chunks.

        ``b""`` where nothing is left to come.
        """
        self._exchange.body_awaited = True
        event = await self._inbound.next_event()
        self._exchange.body_awaited = False
        pieces: list[bytes] = []
        while isinstance(event, Data):
            pieces.append(event.data)
            event = self._inbound.reader.next_event()
        if len(pieces) > MANY_PIECES:
            await asyncio.sleep(0)
        data = b"".join(pieces)
        self._count(len(data))
        if self._chunked:
            data = encode_chunk(data)
        if isinstance(event, EndOfMessage):
            self._exchange.body_unread = False
            if self._chunked:
                data += encode_last_chunk(event.trailers)
        return data

    def _count(self, size: int) -> None:
        if size:
            self._exchange.continue_awaited = False
        self._exchange.sent += size
        limit = self._options.max_body_bytes
        if limit and self._exchange.sent > limit:
            raise refuse(Failure.BODY_TOO_LARGE, f"at most {limit} bytes")

    async def _send(self, data: bytes) -> bool:
        """Send `data`; False when the server does not want more: its answer says why."""
        try:
            await self._server.send(data)
        except StreamError:
            return False
        return True
