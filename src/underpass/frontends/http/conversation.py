"""One client's requests in turn: read a head, find out who asks, have it answered, go on or end."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Coroutine
from typing import Any, TypeAlias

from underpass.access import Principal
from underpass.errors import DialError, Failure, RemoteProtocolError, StreamError
from underpass.frontends.http import connect, own
from underpass.frontends.http.authentication import Authenticator, Throttled
from underpass.frontends.http.exchange import CUT, Exchange, Refused, refuse
from underpass.frontends.http.forward import Forwarding
from underpass.frontends.http.quick import Quick, UnderWay
from underpass.frontends.http.state import FrontEndState
from underpass.net.clock import TimeLimit
from underpass.net.gate import Ticket
from underpass.net.message_stream import ANSWER_SECONDS, MessageStream
from underpass.net.relay import Ending
from underpass.net.stream import Stream
from underpass.net.transport import TransportStream
from underpass.observe import Counter
from underpass.protocol.http.credentials import parse_proxy_authorization
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.framing import NO_BODY
from underpass.protocol.http.head import RequestHead
from underpass.protocol.http.message import PAUSED, RequestReader
from underpass.protocol.http.refusal import Refusal, refusal_response
from underpass.protocol.http.rules import wants_keep_alive
from underpass.protocol.http.target import ABSOLUTE_FORM, AUTHORITY_FORM, form_of
from underpass.protocol.http.whole import whole_request

# Random bytes of a request id: enough to find one line in a day's log.
ID_BYTES = 4

# What a client over a limit of ours is told to wait, in seconds: about what a burst takes to pass.
RETRY_AFTER = b"2"


# By name, as an enum's member costs ten times what a name does.
_CONNECTS = Counter.REQUESTS_CONNECT
_TUNNELS = Counter.TUNNELS_OPEN


# The head of one that is to be answered, or one that has been sent on already.
Request: TypeAlias = RequestHead | UnderWay


class Conversation:
    """Serves the requests that come over one stream, one after the other."""

    __slots__ = (
        "_came_whole",
        "_exchange",
        "_first_wait",
        "_is_idle",
        "_is_settled",
        "_kept_forwarding",
        "_kept_inbound",
        "_quick",
        "_state",
        "_stream",
        "_ticket",
    )

    def __init__(self, state: FrontEndState, stream: Stream, ticket: Ticket) -> None:
        self._state = state
        self._ticket = ticket
        self._stream = stream
        # Made for a request that needs them; a tunnel's, which has come whole, does not.
        self._kept_inbound: MessageStream[RequestReader] | None = None
        self._kept_forwarding: Forwarding | None = None
        self._first_wait: TimeLimit | None = None
        self._quick: Quick | None = None
        # The present request has come whole, and the reader has seen none of it.
        self._came_whole = False
        # Between two requests, where nothing is lost when the conversation ends.
        self._is_idle = False
        self._is_settled = False
        self._exchange: Exchange | None = None

    async def run(self) -> None:
        """Serve until the client ends, breaks the protocol or is refused for good.

        A tunnel that stands goes on without this: the ticket is then kept.
        """
        try:
            request = await self._first_head()
            while request is not None and await self._serve(request):
                self._begin_next()
                request = await self._next_request()
        except StreamError:
            # The client is gone, and with it whoever could be told.
            self._stream.abort()
        finally:
            if self._quick is not None:
                self._quick.end()
            if self._kept_forwarding is not None:
                self._kept_forwarding.end()
            if self._kept_inbound is not None:
                self._kept_inbound.end()
        if not self._ticket.is_kept:
            await self._stream.close()

    @property
    def _inbound(self) -> MessageStream[RequestReader]:
        """What is received, as requests."""
        inbound = self._kept_inbound
        if inbound is None:
            reader = RequestReader(self._state.options.head)
            inbound = self._kept_inbound = MessageStream(self._stream, reader)
        return inbound

    @property
    def _forwarding(self) -> Forwarding:
        forwarding = self._kept_forwarding
        if forwarding is None:
            forwarding = Forwarding(self._state, self._inbound, self._ticket.client)
            self._kept_forwarding = forwarding
        return forwarding

    async def fail(self) -> None:
        """End after a bug of ours: with 500 where no answer has begun, else with a cut."""
        if self._exchange is None:
            self._stream.abort()
            return
        try:
            await self._refuse(self._exchange, Refusal(Failure.INTERNAL), close=True)
        except StreamError:
            self._stream.abort()
        await self._stream.close()

    def _begin_next(self) -> None:
        """Go on to the next request, past the end of one that was answered unread."""
        if self._came_whole:
            self._came_whole = False
            return
        reader = self._inbound.reader
        while reader.next_event() is not PAUSED:
            pass
        reader.start_next()

    def drain(self) -> None:
        """Stop waiting for a next request; one under way is finished."""
        if self._is_idle and self._first_wait is not None:
            self._first_wait.expire()
        elif self._is_idle:
            self._inbound.stop_waiting()
            if self._quick is not None:
                self._quick.stop_waiting()

    async def _first_head(self) -> Request | None:
        """Return the first head: its time runs from accepting, however late its first byte is."""
        state = self._state
        started = time.monotonic()
        if state.draining:
            return None
        self._is_idle = True
        try:
            with TimeLimit(None, state.first_heads) as self._first_wait:
                data = await self._stream.receive()
        except TimeoutError:
            # A client that says nothing is told nothing.
            return None
        finally:
            self._is_idle, self._first_wait = False, None
        head = whole_request(data, state.options.head)
        if head is not None:
            self._came_whole = True
            return head
        self._inbound.hand_over(data)
        elapsed = time.monotonic() - started
        return await self._head_within(max(0.0, state.options.head_timeout - elapsed))

    async def _next_request(self) -> Request | None:
        """Return a later request, its head's time from its first byte; None when all is over."""
        options = self._state.options
        if self._inbound.reader.has_buffered:
            # Others get their turn between two requests of a burst.
            await asyncio.sleep(0)
        elif not await self._something_comes(options.keep_alive_timeout):
            return None
        elif self._quick is not None and (left := self._quick.left()) is not None:
            return left
        return await self._head_within(options.head_timeout)

    async def _head_within(self, seconds: float) -> RequestHead | None:
        """Return the head that has begun to come; None once it is refused, or the client ended."""
        try:
            event = await self._inbound.next_event_within(seconds)
        except RemoteProtocolError as error:
            await self._refuse_unread(Refusal(error.failure, error.reason))
            return None
        except TimeoutError:
            details = "the request head did not arrive in time"
            await self._refuse_unread(Refusal(Failure.REQUEST_TIMEOUT, details))
            return None
        return event if isinstance(event, RequestHead) else None

    async def _something_comes(self, timeout: float) -> bool:
        """Wait for the first bytes of a later request, or for one that `Quick` leaves to us."""
        if self._state.draining:
            return False
        # Who has not said who they are is to be counted as settled first.
        if self._is_settled and self._quick is None and isinstance(self._stream, TransportStream):
            forwarding, client = self._forwarding, self._ticket.client
            self._quick = Quick(self._state, self._stream, forwarding, client)
        self._is_idle = True
        try:
            if self._quick is None or not await self._quick.wait(timeout):
                await self._inbound.fill_within(timeout)
        except TimeoutError:
            return False
        finally:
            self._is_idle = False
        return True

    async def _refuse_unread(self, refusal: Refusal) -> None:
        exchange = Exchange(None, self._ticket.client)
        try:
            await self._refuse(exchange, refusal, close=True)
        finally:
            self._state.observer.access(exchange.record())

    async def _serve(self, request: Request) -> bool:
        """Serve one request; return whether the conversation goes on."""
        if isinstance(request, UnderWay):
            self._came_whole = True
            exchange = request.errand.exchange
        else:
            framing = NO_BODY if self._came_whole else self._inbound.reader.framing
            exchange = Exchange(request, self._ticket.client, framing)
        self._exchange = exchange
        try:
            if isinstance(request, UnderWay):
                errand, server, _ = request
                return await self._forwarding.carry_out(errand, server, is_sent=True)
            if self._state.authenticator is not None:
                exchange.principal = await self._authenticate(self._state.authenticator, request)
            if not self._is_settled:
                self._is_settled = True
                self._ticket.settled()
            return await self._answer(exchange, request)
        except Refused as refused:
            return await self._refuse(exchange, refused.refusal)
        except DialError as error:
            fields = Fields([(b"Retry-After", RETRY_AFTER)] if error.failure.status == 503 else ())
            refusal = Refusal(error.failure, error.details, fields, error.parameters)
            return await self._refuse(exchange, refusal)
        except RemoteProtocolError as error:
            refusal = Refusal(error.failure, error.reason)
            return await self._refuse(exchange, refusal)
        except StreamError as error:
            exchange.reason = str(error)
            raise
        except asyncio.CancelledError:
            exchange.reason = CUT
            raise
        except Exception:
            # Recorded before `fail` tells the client.
            exchange.request_id = secrets.token_hex(ID_BYTES)
            exchange.reason = Failure.INTERNAL.phrase
            exchange.status = exchange.status or Failure.INTERNAL.status
            raise
        finally:
            if not self._ticket.is_kept:
                self._state.observer.access(exchange.record())

    def _answer(self, exchange: Exchange, head: RequestHead) -> Coroutine[Any, Any, bool]:
        form = form_of(head)
        if form is ABSOLUTE_FORM:
            return self._forwarding.answer(exchange, head)
        if form is AUTHORITY_FORM:
            return self._connect(exchange, head)
        return own.answer(self._inbound, exchange, head)

    async def _connect(self, exchange: Exchange, head: RequestHead) -> bool:
        """Serve a CONNECT, after which no request can come: always False."""
        state, observer = self._state, self._state.observer
        observer.counters.add(_CONNECTS)
        address = connect.connect_target(head)
        exchange.address = str(address)
        destination = await state.outbound.dial_as(exchange.principal)(address)
        exchange.status = 200
        exchange.answered = True
        client = self._stream if self._came_whole else self._inbound.release()
        if isinstance(client, TransportStream) and isinstance(destination, TransportStream):
            if await connect.tell(client, destination):
                tunnel = connect.StandingTunnel(exchange, observer, self._ticket)
                tunnel.relay(client, destination, state.splicer)
            else:
                exchange.reason = Ending.LEFT_RESET.value
            return False
        observer.counters.add(_TUNNELS)
        try:
            transfer = await connect.tunnel(client, destination, state.options.relay, exchange)
        finally:
            observer.counters.add(_TUNNELS, -1)
        exchange.sent, exchange.received = transfer.sent, transfer.received
        exchange.reason = transfer.ending.value
        return False

    async def _authenticate(self, authenticator: Authenticator, head: RequestHead) -> Principal:
        credentials = parse_proxy_authorization(head.fields)
        if credentials is None:
            raise self._challenge(authenticator, "no credentials that this proxy understands")
        try:
            principal = await authenticator.authenticate(credentials, self._ticket.client)
        except Throttled as throttled:
            wait = str(math.ceil(throttled.retry_after)).encode("ascii")
            fields = Fields([(b"Retry-After", wait)])
            details = "too many failed logins from this address"
            raise refuse(Failure.TOO_MANY_REQUESTS, details, fields) from throttled
        if principal is None:
            self._state.observer.counters.add(Counter.AUTHENTICATION_FAILURES)
            raise self._challenge(authenticator, "the credentials were not accepted")
        return principal

    def _challenge(self, authenticator: Authenticator, details: str) -> Refused:
        fields = Fields([(b"Proxy-Authenticate", value) for value in authenticator.challenges])
        return refuse(Failure.AUTHENTICATION_REQUIRED, details, fields)

    def _must_close(self, exchange: Exchange, refusal: Refusal) -> bool:
        """Whether the stream must end after a refusal of this request.

        A refused CONNECT always closes, as what follows its head was meant for somebody else (RFC
        9931), but for a 407 that a scheme bound to the stream goes on from, with no byte beyond
        the head. So does a request whose body is unread, and one that broke the protocol.
        """
        head = exchange.head
        if head is None or exchange.body_unread or not wants_keep_alive(head):
            return True
        if refusal.failure.status in (400, 408, 413, 414, 431, 501, 505) or self._state.draining:
            return True
        if head.method == b"CONNECT":
            authenticator = self._state.authenticator
            return not (
                refusal.failure is Failure.AUTHENTICATION_REQUIRED
                and authenticator is not None
                and authenticator.binds_connection
                and not self._inbound.reader.has_buffered
                and self._stream.is_quiet
            )
        return False

    async def _refuse(self, exchange: Exchange, refusal: Refusal, *, close: bool = False) -> bool:
        """Answer with `refusal`; return whether the conversation goes on."""
        exchange.reason = f"{refusal.failure.phrase}: {refusal.details}".rstrip(": ")
        self._state.observer.counters.refused(refusal.failure)
        if exchange.answered:
            # Half an answer is out: only a cut tells the client that the rest is missing.
            self._stream.abort()
            return False
        exchange.status = refusal.failure.status
        exchange.answered = True
        close = close or self._must_close(exchange, refusal)
        head_only = exchange.head is not None and exchange.head.method == b"HEAD"
        exchange.request_id = exchange.request_id or secrets.token_hex(ID_BYTES)
        answer = refusal_response(
            refusal,
            self._state.options.identity,
            close=close,
            head_only=head_only,
            request_id=exchange.request_id,
        )
        await self._inbound.send_within(answer, ANSWER_SECONDS)
        return not close
