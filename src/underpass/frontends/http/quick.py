"""`Quick`: simple requests and their responses, sent on by the calls that bring them.

Most requests come whole, have no body, and go to a server whose stream was kept; most responses
come whole too. Those need nobody to wait: what arrives is parsed, judged and written on within the
transport's own call, and the client's task sleeps on. Whatever is not so, for any reason, is left
to that task as it came: nothing is refused here, and nothing is read in another way.

::

    idle ──── a simple request comes, and goes on to the server ───> under way
      ^                                                                  │
      ├────────── a simple response comes, and goes to the client ───────┤
      │                                                                  │
    the task wakes <── anything else comes, or nothing for a while ──────┘
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from underpass.access import Principal
from underpass.errors import DialError, RemoteProtocolError, StreamError
from underpass.frontends.http.authentication import ANONYMOUS
from underpass.frontends.http.exchange import CUT, Exchange
from underpass.frontends.http.forward import Errand, Forwarding
from underpass.frontends.http.pool import Server
from underpass.frontends.http.response import LOOK_SECONDS
from underpass.frontends.http.state import FrontEndState
from underpass.frontends.http.upload import SentBody
from underpass.net.clock import Patience
from underpass.net.transport import TransportStream
from underpass.observe import Counter
from underpass.protocol.http.credentials import parse_proxy_authorization
from underpass.protocol.http.head import RequestHead, serialise_request, serialise_response
from underpass.protocol.http.rules import (
    binds_connection,
    forwarded_request,
    forwarded_response,
    has_loop,
    wants_keep_alive,
)
from underpass.protocol.http.target import parse_absolute
from underpass.protocol.http.whole import whole_request, whole_response

# Those that ask nothing of a proxy, and may be sent again where a kept stream has ended.
_METHODS = frozenset({b"GET", b"HEAD"})

# What asks something of us, or of a server whose answer is then not simple.
_UNUSUAL = frozenset({b"expect", b"te", b"upgrade"})

_FORWARDED = Counter.REQUESTS_FORWARD.value
_REUSED = Counter.POOL_REUSED.value

_NO_BODY = SentBody(0)

# From the next proxy it is for us, and the route's to judge.
_AUTHENTICATION_REQUIRED = 407


class UnderWay(NamedTuple):
    """A request that has gone to `server` over `stream`, whose response has not come."""

    errand: Errand
    server: Server
    stream: TransportStream


class Quick:
    """Answers what is simple of one client while its task waits; see the module."""

    __slots__ = (
        "_client",
        "_forwarding",
        "_keep_alive",
        "_loop",
        "_patience",
        "_state",
        "_stream",
        "_turn",
        "_under_way",
    )

    def __init__(
        self, state: FrontEndState, stream: TransportStream, forwarding: Forwarding, client: str
    ) -> None:
        self._state = state
        self._stream = stream
        self._forwarding = forwarding
        self._client = client
        self._loop = asyncio.get_running_loop()
        self._patience = Patience()
        self._keep_alive = 0.0
        self._turn: asyncio.Future[None] | None = None
        self._under_way: UnderWay | None = None

    async def wait(self, seconds: float) -> bool:
        """Answer requests as they come, until there is something to do for the task.

        Returns whether that is a request under way (`left`), and not what has come on the stream.
        Raises `TimeoutError` when nothing has come for so many seconds.
        """
        if not self._stream.is_quiet:
            return False
        self._keep_alive = seconds
        self._turn = self._loop.create_future()
        self._stream.offer_next(self._take_request)
        try:
            with self._patience.within(seconds):
                await self._turn
        except TimeoutError:
            if self._under_way is None:
                raise
        finally:
            self._turn = None
            self._stream.offer_next(None)
            if self._under_way is not None:
                self._under_way.stream.offer_next(None)
        return self._under_way is not None

    def stop_waiting(self) -> None:
        """End the wait as if its time were over, unless a request is under way."""
        if self._under_way is None:
            self._patience.expire()

    def left(self) -> UnderWay | None:
        """The request that is left to the task, which is to bring its response."""
        under_way, self._under_way = self._under_way, None
        return under_way

    def end(self) -> None:
        """Nothing waits any more; a request that is under way is given up with its client."""
        self._patience.end()
        if (left := self.left()) is not None:
            left.stream.abort()
            left.errand.exchange.reason = CUT
            self._state.observer.access(left.errand.exchange.record())

    def _wake(self) -> None:
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)

    def _try(self, step: Callable[[bytes], bool], data: bytes) -> bool:
        """Let `step` take `data`; where it does not, or has a bug, the task is to see to it."""
        is_taken = False
        try:
            is_taken = step(data)
        finally:
            if not is_taken:
                self._wake()
        return is_taken

    # The request.

    def _take_request(self, data: bytes) -> bool:
        return self._try(self._is_sent_on, data)

    def _is_sent_on(self, data: bytes) -> bool:
        """Send a simple request on; False where it is not simple, or needs a new stream."""
        head = whole_request(data, self._state.options.head)
        if head is None or not self._is_simple(head):
            return False
        try:
            errand = self._errand(head)
        except (RemoteProtocolError, DialError):
            return False
        if errand is None or not self._send(errand):
            return False
        self._patience.restart(self._loop, LOOK_SECONDS)
        return True

    def _is_simple(self, head: RequestHead) -> bool:
        state = self._state
        return not (
            state.draining
            or self._forwarding.has_bound
            or head.method not in _METHODS
            or head.fields.has_any(_UNUSUAL)
            or not wants_keep_alive(head)
            or has_loop(head.fields, state.options.via_name)
            or binds_connection(head)
        )

    def _errand(self, head: RequestHead) -> Errand | None:
        """The errand, unless the client or we have yet to log in. Raises what refuses it."""
        principal = self._asker(head)
        if principal is None:
            return None
        target = parse_absolute(head.target, head.method)
        address = target.address
        route = self._state.outbound.route_for(principal, address)
        if not route.says_nothing:
            return None
        exchange = Exchange(head, self._client)
        if principal is not ANONYMOUS:
            exchange.principal = principal
        exchange.address = str(address)
        outgoing = forwarded_request(head, target, self._state.options.via_name)
        key = self._forwarding.key_for(principal, address)
        return Errand(exchange, head, outgoing, target, route, key, _NO_BODY)

    def _asker(self, head: RequestHead) -> Principal | None:
        """Who asks; None where that takes time to find out, or is nobody that we know."""
        state = self._state
        if state.authenticator is None:
            return ANONYMOUS
        if state.known is None:
            return None
        credentials = parse_proxy_authorization(head.fields)
        return state.known(credentials, self._client) if credentials is not None else None

    def _send(self, errand: Errand) -> bool:
        """Send the request over a stream that was kept, where there is one that takes it."""
        state = self._state
        server = state.pool.take(errand.key)
        if server is None:
            return False
        stream = server.stream
        if not isinstance(stream, TransportStream):
            state.pool.keep(errand.key, server, self._loop.time())
            return False
        try:
            outgoing = errand.route.addressed(errand.head, errand.target)
            is_sent = stream.send_at_once(serialise_request(outgoing))
        except StreamError:
            is_sent = False
        if not is_sent:
            stream.abort()
            return False
        slots = state.observer.counters.slots
        slots[_FORWARDED] += 1
        slots[_REUSED] += 1
        self._under_way = UnderWay(errand, server, stream)
        stream.offer_next(self._take_response)
        return True

    # The response.

    def _take_response(self, data: bytes) -> bool:
        return self._try(self._has_answered, data)

    def _has_answered(self, data: bytes) -> bool:
        """Bring the response to the client; False where it is not simple, or the client is gone."""
        # Where the time is over the task has the next word, and only waits for its turn.
        if self._under_way is None or self._state.draining or self._patience.has_expired:
            return False
        state, (errand, server, _) = self._state, self._under_way
        whole = whole_response(data, errand.request.method, state.options.head)
        if whole is None:
            return False
        head, body = whole
        if (
            head.status == _AUTHENTICATION_REQUIRED
            or not wants_keep_alive(head)
            or binds_connection(head)
        ):
            return False
        out = serialise_response(forwarded_response(head, state.options.via_name)) + body
        try:
            if not self._stream.send_at_once(out):
                return False
        except StreamError:
            return False
        self._under_way = None
        state.pool.keep(errand.key, server, self._loop.time())
        exchange = errand.exchange
        exchange.status = head.status
        exchange.received = len(body)
        state.observer.access(exchange.record())
        self._go_on()
        return True

    def _go_on(self) -> None:
        """Wait for the next request, or let the task have what has come meanwhile."""
        if self._turn is not None and self._stream.is_quiet:
            self._stream.offer_next(self._take_request)
            self._patience.restart(self._loop, self._keep_alive)
        else:
            self._wake()
