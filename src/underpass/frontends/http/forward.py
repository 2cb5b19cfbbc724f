"""Forwards one absolute-form request and its response (RFC 9110 7.6, RFC 9112 3.2.2).

Messages are parsed and written anew, in both directions. The request's body goes out while the
response comes in, so that a server may answer early; whatever then is unread ends the stream.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from underpass.access import Principal
from underpass.address import Address
from underpass.errors import DialError, Failure, RemoteProtocolError, StreamError
from underpass.frontends.http import own
from underpass.frontends.http.exchange import Exchange, Refused, SendAgain, ServerEnded, refuse
from underpass.frontends.http.pool import PoolKey, Server
from underpass.frontends.http.response import Responder
from underpass.frontends.http.state import FrontEndState
from underpass.frontends.http.upload import REPEATABLE_BYTES, SentBody, Upload
from underpass.net.message_stream import MessageStream
from underpass.net.route import Route
from underpass.observe import Counter
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.framing import CHUNKED
from underpass.protocol.http.head import HTTP_11, RequestHead, serialise_request
from underpass.protocol.http.message import RequestReader, ResponseReader
from underpass.protocol.http.refusal import Refusal
from underpass.protocol.http.rules import (
    binds_connection,
    expects_continue,
    forwarded_request,
    has_loop,
    is_idempotent,
    next_max_forwards,
)
from underpass.protocol.http.target import AbsoluteTarget, parse_absolute

# Streams with an authentication of their own that one client may hold to different destinations.
BOUND_STREAMS = 8


# By name, as an enum's member costs ten times what a name does.
_FORWARDED = Counter.REQUESTS_FORWARD
_REUSED = Counter.POOL_REUSED


class Errand(NamedTuple):
    """One request on its way: as it came and as it goes, where to, and its body so far.

    `head` is in origin-form.
    """

    exchange: Exchange
    request: RequestHead
    head: RequestHead
    target: AbsoluteTarget
    route: Route
    key: PoolKey
    body: SentBody


class Forwarding:
    """Forwards the requests of one client, and keeps the streams that are bound to it.

    A server that authenticates the stream instead of the request (NTLM, Negotiate) gets a stream
    that no other client's request ever goes over.
    """

    def __init__(
        self, state: FrontEndState, inbound: MessageStream[RequestReader], client: str
    ) -> None:
        self._state = state
        self._inbound = inbound
        self._client = client
        self._bound: dict[PoolKey, Server] = {}
        self._key: PoolKey | None = None
        self._generation = state.generation

    def end(self) -> None:
        """The client is gone: let go of the streams bound to it."""
        for server in self._bound.values():
            server.stream.close_soon()
        self._bound.clear()

    @property
    def has_bound(self) -> bool:
        """Whether a server's stream is bound to this client."""
        return bool(self._bound)

    async def answer(self, exchange: Exchange, head: RequestHead) -> bool:
        """Forward `head` and what follows it; return whether the conversation goes on.

        Raises `Refused`, `RemoteProtocolError` and `DialError` for the conversation to answer, and
        `StreamError` when the client is gone.
        """
        self._state.observer.counters.add(_FORWARDED)
        target = parse_absolute(head.target, head.method)
        exchange.address = str(target.address)
        self._check(exchange, head)
        forwards, head = next_max_forwards(head)
        if forwards == 0:
            return await own.answer(self._inbound, exchange, head) and not self._state.draining
        errand = self._errand(exchange, head, target)
        return await self.carry_out(errand, self._kept(errand))

    async def carry_out(
        self, errand: Errand, server: Server | None, *, is_sent: bool = False
    ) -> bool:
        """Send the request over `server`, where one was kept, and bring the response; see `answer`.

        `is_sent`: the request went out over it already.
        """
        exchange = errand.exchange
        # Ends by itself: the route counts how often a request must be sent again.
        while True:
            is_fresh = server is None
            server = server or await self._open(errand)
            try:
                goes_on = await self._exchange(server, errand, is_sent=is_sent)
                return goes_on and not self._state.draining
            except SendAgain:
                pass
            except ServerEnded:
                # One that ended while it was kept. Only what may be repeated is sent again.
                if (
                    is_fresh
                    or exchange.sent
                    or exchange.answered
                    or not is_idempotent(errand.request.method)
                ):
                    raise refuse(Failure.CONNECTION_TERMINATED, "no answer came") from None
            server = None
            is_sent = False

    def _errand(self, exchange: Exchange, head: RequestHead, target: AbsoluteTarget) -> Errand:
        outgoing = self._outgoing(exchange, head, target)
        route = self._state.outbound.route_for(exchange.principal, target.address)
        key = self.key_for(exchange.principal, target.address)
        body = SentBody(REPEATABLE_BYTES if route.may_repeat else 0)
        return Errand(exchange, head, outgoing, target, route, key, body)

    def key_for(self, principal: Principal, address: Address) -> PoolKey:
        """The key to the pool: that of the request before where it is the same, as with most."""
        key, generation = self._key, self._state.generation
        if (
            key is None
            or key.principal is not principal
            or key.address is not address
            or key.generation != generation
        ):
            self._key = key = PoolKey(principal, self._client, address, generation)
        return key

    def _check(self, exchange: Exchange, head: RequestHead) -> None:
        if has_loop(head.fields, self._state.options.via_name):
            raise refuse(Failure.LOOP, "this request has been here before")
        exchange.continue_awaited = expects_continue(head)
        limit = self._state.options.max_body_bytes
        if limit and exchange.framing.length > limit:
            raise refuse(Failure.BODY_TOO_LARGE, f"at most {limit} bytes")

    def _outgoing(
        self, exchange: Exchange, head: RequestHead, target: AbsoluteTarget
    ) -> RequestHead:
        outgoing = forwarded_request(head, target, self._state.options.via_name)
        if exchange.framing is CHUNKED:
            fields = outgoing.fields.adding(b"Transfer-Encoding", b"chunked")
            return RequestHead(outgoing.method, outgoing.target, HTTP_11, fields)
        return outgoing

    def _kept(self, errand: Errand) -> Server | None:
        key = errand.key
        if self._generation != self._state.generation:
            self._generation = self._state.generation
            self.end()
        if self._bound and (server := self._bound.pop(key, None)) is not None:
            if server.stream.is_quiet:
                return server
            server.stream.close_soon()
        if _is_long(errand) and errand.route.is_doubtful:
            return None
        server = self._state.pool.take(key)
        if server is not None:
            self._state.observer.counters.add(_REUSED)
        return server

    async def _open(self, errand: Errand) -> Server:
        stream = await errand.route.open(for_long=_is_long(errand))
        return MessageStream(stream, ResponseReader(self._state.options.head))

    async def _exchange(self, server: Server, errand: Errand, *, is_sent: bool) -> bool:
        responder = Responder(self._state, server, self._inbound, errand.exchange, errand.route)
        try:
            outgoing = errand.route.addressed(errand.head, errand.target)
            server.reader.expect(outgoing.method)
            if not is_sent:
                await _send(server, serialise_request(outgoing))
            if errand.exchange.body_unread or errand.body.pieces:
                goes_on = await self._with_body(server, errand, responder)
            else:
                goes_on = await responder.respond(errand.request)
            self._keep(server, responder, outgoing, errand.key)
        finally:
            if responder.is_whole and not errand.exchange.body_unread:
                if not responder.reusable:
                    server.stream.close_soon()
            else:
                # The server must not take a request for whole whose rest never came.
                server.stream.abort()
        return goes_on

    async def _with_body(self, server: Server, errand: Errand, responder: Responder) -> bool:
        """Send the body while the response comes in, and stop sending when that is complete."""
        exchange = errand.exchange
        upload = Upload(self._state.options, self._inbound, server.stream, exchange, errand.body)
        failure: Exception | None = None
        goes_on = False
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(upload.run(), name="upload")
            try:
                goes_on = await responder.respond(errand.request)
            except SendAgain as error:
                failure = error if errand.body.is_whole else _sent_too_much()
            except (StreamError, RemoteProtocolError, DialError, Refused, ServerEnded) as error:
                failure = error
            sending.cancel()
        # A client that broke its own request is why everything after it failed.
        failure = upload.failure or failure
        if failure is not None:
            responder.reusable = False
            raise failure
        responder.reusable = responder.reusable and not exchange.body_unread
        return goes_on and not exchange.body_unread

    def _keep(
        self, server: Server, responder: Responder, outgoing: RequestHead, key: PoolKey
    ) -> None:
        # What came beyond a response answers nothing that was asked: a second answer, planted.
        planted = server.reader.has_buffered
        responder.reusable = responder.reusable and not planted and not self._state.draining
        if not responder.reusable:
            return
        server.reader.start_next()
        if not (responder.is_bound or binds_connection(outgoing)):
            self._state.pool.keep(key, server, asyncio.get_running_loop().time())
        elif len(self._bound) < BOUND_STREAMS:
            self._bound[key] = server
        else:
            responder.reusable = False


def _is_long(errand: Errand) -> bool:
    """Whether the body may be more than what is kept, to be sent again after a 407."""
    framing = errand.exchange.framing
    return framing is CHUNKED or framing.length > REPEATABLE_BYTES


async def _send(server: Server, data: bytes) -> None:
    try:
        if not server.stream.send_at_once(data):
            await server.stream.send(data)
    except StreamError:
        raise ServerEnded from None


def _sent_too_much() -> Refused:
    details = "the upstream proxy asked for a login in the middle of a long body; send it again"
    return Refused(Refusal(Failure.UPSTREAM_REFUSED, details, Fields(), {"received-status": 407}))
