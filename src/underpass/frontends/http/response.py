"""Brings a server's response to the client: heads, bodies, trailers, and 101."""

from __future__ import annotations

import asyncio
import math

from underpass.errors import Failure, RemoteProtocolError, StreamError, StreamReset
from underpass.frontends.http.exchange import Exchange, Refused, SendAgain, ServerEnded, refuse
from underpass.frontends.http.pool import Server
from underpass.frontends.http.state import FrontEndState
from underpass.net.message_stream import MANY_PIECES, MessageStream
from underpass.net.relay import relay
from underpass.net.route import Route
from underpass.protocol.http.chunked import encode_chunk, encode_last_chunk
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.framing import CHUNKED, UNTIL_CLOSE
from underpass.protocol.http.head import HTTP_11, RequestHead, ResponseHead, serialise_response
from underpass.protocol.http.message import NEED_DATA, Data, EndOfMessage, Event, RequestReader
from underpass.protocol.http.rules import (
    binds_connection,
    forwarded_response,
    upgrade_named,
    upgrade_requested,
    wants_keep_alive,
)

SWITCHING_PROTOCOLS = 101

# How often a wait for the server looks whether the client is still there.
LOOK_SECONDS = 1.0

# Interim responses before one that ends. An endless row of them would hold a client for ever
# (CVE-2021-3737); a long job that tells of its progress (102, 103) needs a few.
MAX_INTERIM = 32


class Responder:
    """Receives one response from `server` and sends it to the client.

    Afterwards `is_whole` says whether all of it came, `reusable` whether the server's stream may
    carry another request, and `is_bound` whether an authentication belongs to that stream.
    """

    def __init__(
        self,
        state: FrontEndState,
        server: Server,
        inbound: MessageStream[RequestReader],
        exchange: Exchange,
        route: Route,
    ) -> None:
        self._state = state
        self._server = server
        self._route = route
        self._inbound = inbound
        self._exchange = exchange
        self._has_head = False
        self.is_whole = False
        self.reusable = False
        self.is_bound = False

    async def respond(self, request: RequestHead) -> bool:
        """Bring the response to `request`; return whether the conversation with the client goes on.

        Raises `ServerEnded` before a byte of a response has come, `SendAgain` and `DialError` for
        what was no response but a word of the next proxy to us, `RemoteProtocolError` and `Refused`
        for what the server did wrong, `StreamError` when the client is gone.
        """
        head = await self._final_head(request)
        self._has_head = True
        if await self._route.must_repeat(head):
            raise SendAgain
        if head.status == SWITCHING_PROTOCOLS:
            await self._switch(request, head)
            return False
        # Chunks are for those who know them.
        chunked = self._server.reader.framing is CHUNKED and request.version >= HTTP_11
        goes_on, fields = self._client_fields(request, head, chunked=chunked)
        self._exchange.status = head.status
        out = serialise_response(ResponseHead(head.status, head.reason, HTTP_11, fields))
        await self._send(out, chunked=chunked)
        self.is_whole = True
        self.reusable = self._server.reader.framing is not UNTIL_CLOSE and wants_keep_alive(head)
        self.is_bound = binds_connection(head)
        return goes_on

    async def _final_head(self, request: RequestHead) -> ResponseHead:
        """Return the final (or 101) head; interim ones go to a client that knows them (1.1)."""
        for _ in range(MAX_INTERIM + 1):
            event = await self._next_event()
            if not isinstance(event, ResponseHead):
                raise ServerEnded
            if event.status >= 200 or event.status == SWITCHING_PROTOCOLS:
                return event
            self._exchange.continue_awaited = False
            if request.version >= HTTP_11:
                await self._tell(serialise_response(self._forwarded(event)))
        reason = f"more than {MAX_INTERIM} interim responses"
        raise RemoteProtocolError(reason, Failure.UPSTREAM_PROTOCOL)

    async def _next_event(self) -> Event:
        """The server's next event; a silence counts only while nothing goes to it either.

        Raises `StreamReset` when the client is gone meanwhile: the server shall work for nobody.
        """
        patience = remaining = self._state.options.response_timeout or math.inf
        sent = self._exchange.sent
        while True:
            seconds = min(LOOK_SECONDS, remaining)
            try:
                return await self._server.next_event_within(seconds)
            except TimeoutError:
                if self._inbound.stream.is_lost:
                    raise StreamReset("reset by the client") from None
                remaining -= seconds
                if self._exchange.sent != sent:
                    remaining, sent = patience, self._exchange.sent
                elif remaining <= 0:
                    raise self._silence() from None
            except StreamError as error:
                if not self._has_head:
                    raise ServerEnded from None
                raise RemoteProtocolError(str(error), Failure.RESPONSE_INCOMPLETE) from error

    def _silence(self) -> Refused:
        """Whose silence it is that both wait: the client's in the middle of its body, or not."""
        if self._exchange.body_awaited and not self._exchange.continue_awaited:
            return refuse(Failure.REQUEST_TIMEOUT, "the request's body stopped coming")
        return refuse(Failure.RESPONSE_TIMEOUT, "the server is silent")

    def _forwarded(self, head: ResponseHead) -> ResponseHead:
        return forwarded_response(head, self._state.options.via_name)

    def _client_fields(
        self, request: RequestHead, head: ResponseHead, *, chunked: bool
    ) -> tuple[bool, Fields]:
        """The fields with the framing that this client can read, and whether it can stay."""
        fields = self._forwarded(head).fields
        if chunked:
            fields = fields.adding(b"Transfer-Encoding", b"chunked")
            delimited = True
        else:
            # A body that only the end of the stream delimits is passed on as just that: we can't
            # know that it is complete, so we don't say so.
            framing = self._server.reader.framing
            delimited = framing is not CHUNKED and framing is not UNTIL_CLOSE
        goes_on = (
            delimited
            and wants_keep_alive(request)
            and not self._exchange.body_unread
            and not self._state.draining
        )
        return goes_on, fields if goes_on else fields.adding(b"Connection", b"close")

    async def _send(self, head: bytes, *, chunked: bool) -> None:
        """Send the head and the body, together what has come together: each send is a packet."""
        waiting = [head]
        while True:
            event = self._server.reader.next_event()
            if event is NEED_DATA:
                await self._flush(waiting)
                event = await self._next_event()
            if isinstance(event, Data):
                self._exchange.received += len(event.data)
                waiting.append(encode_chunk(event.data) if chunked else event.data)
                continue
            if isinstance(event, EndOfMessage) and chunked:
                waiting.append(encode_last_chunk(event.trailers))
            await self._flush(waiting)
            return

    async def _flush(self, waiting: list[bytes]) -> None:
        if waiting:
            # Until now what the server broke could still be told of instead.
            self._exchange.answered = True
            data = b"".join(waiting)
            if not self._inbound.stream.send_at_once(data):
                await self._tell(data)
            if len(waiting) > MANY_PIECES:
                await asyncio.sleep(0)
            waiting.clear()

    async def _tell(self, data: bytes) -> None:
        """Send to the client, who has as long to take it as the server has to answer."""
        await self._inbound.send_within(data, self._state.options.response_timeout)

    async def _switch(self, request: RequestHead, head: ResponseHead) -> None:
        """Pass a 101 on and relay what follows (RFC 9110 7.8)."""
        protocol = upgrade_requested(request)
        if protocol is None or self._exchange.body_unread:
            raise RemoteProtocolError("101 that was not asked for", Failure.UPSTREAM_PROTOCOL)
        fields = Fields([(b"Connection", b"Upgrade")])
        fields = fields.adding(b"Upgrade", upgrade_named(head.fields) or protocol)
        for name, value in self._forwarded(head).fields.without((b"connection", b"upgrade")):
            fields = fields.adding(name, value)
        self._exchange.status = head.status
        self._exchange.answered = True
        await self._tell(
            serialise_response(ResponseHead(head.status, head.reason, HTTP_11, fields))
        )
        client, server = self._inbound.release(), self._server.release()
        transfer = await relay(client, server, self._state.options.relay, self._exchange)
        self._exchange.sent, self._exchange.received = transfer.sent, transfer.received
        self._exchange.reason = transfer.ending.value
