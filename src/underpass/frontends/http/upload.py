"""Sends a request's body on to the server while the response may already be coming."""

from __future__ import annotations

from underpass.errors import Failure, RemoteProtocolError, StreamError
from underpass.frontends.http.exchange import Exchange, Refused, refuse
from underpass.frontends.http.message_stream import MessageStream
from underpass.frontends.http.state import FrontEndOptions
from underpass.net.stream import Stream
from underpass.protocol.http.chunked import encode_chunk, encode_last_chunk
from underpass.protocol.http.framing import BodyKind
from underpass.protocol.http.message import Data, EndOfMessage, RequestReader


class Upload:
    """One request's body. `failure` is what the client did wrong, after which nothing goes on."""

    def __init__(
        self,
        options: FrontEndOptions,
        inbound: MessageStream[RequestReader],
        server: Stream,
        exchange: Exchange,
    ) -> None:
        self._options = options
        self._inbound = inbound
        self._server = server
        self._exchange = exchange
        self._chunked = inbound.reader.framing.kind is BodyKind.CHUNKED
        self.failure: StreamError | RemoteProtocolError | Refused | None = None

    async def run(self) -> None:
        """Send all of the body. Raises nothing: a failure is kept, and ends the server's stream."""
        try:
            while data := await self._next():
                if not await self._send(data):
                    return
        except TimeoutError:
            self.failure = refuse(Failure.REQUEST_TIMEOUT, "the request's body stopped coming")
        except (StreamError, RemoteProtocolError, Refused) as error:
            self.failure = error
        else:
            return
        # The request can't be completed any more, and the server must not take it for whole.
        self._server.abort()

    async def _next(self) -> bytes:
        """Return the next bytes for the server, ``b""`` after the last."""
        event = await self._inbound.next_event_within(self._options.response_timeout)
        if isinstance(event, Data):
            self._exchange.sent += len(event.data)
            limit = self._options.max_body_bytes
            if limit and self._exchange.sent > limit:
                raise refuse(Failure.BODY_TOO_LARGE, f"at most {limit} bytes")
            return encode_chunk(event.data) if self._chunked else event.data
        if isinstance(event, EndOfMessage):
            self._exchange.body_unread = False
            if self._chunked:
                await self._send(encode_last_chunk(event.trailers))
        return b""

    async def _send(self, data: bytes) -> bool:
        """Send `data`; False when the server does not want more: its answer says why."""
        try:
            await self._server.send(data)
        except StreamError:
            return False
        return True
