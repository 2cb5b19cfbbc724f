"""`SocksFrontEnd`: serves SOCKS 4, 4a and 5 clients over whatever dial it is given.

Names are resolved at the far end of the dial. A failure reaches the client as its protocol's own
code.
"""

from __future__ import annotations

import hmac
import logging
from dataclasses import dataclass, field

from underpass.errors import DialError, RemoteProtocolError, StreamError
from underpass.frontends.base import Visit, VisitRelay
from underpass.net.clock import Alarm, TimeLimit
from underpass.net.early import EarlyData, EarlyDial, without_early
from underpass.net.gate import Ticket
from underpass.net.stream import Dial, Stream
from underpass.observe import Observer
from underpass.protocol.grammar import Buffer, EndOfData, Need
from underpass.protocol.socks_server import SocksRefused, SocksRequest, reply, serve_socks
from underpass.protocol.socks_whole import NO_LOGIN, is_whole_greeting, whole_request

logger = logging.getLogger(__name__)

# From the first byte to the whole request: a client is a program on this machine.
REQUEST_SECONDS = 10.0

# The access line's word for it.
METHOD = "SOCKS"
SUCCEEDED = 200


@dataclass(frozen=True, slots=True)
class SocksLogin:
    """The user and password that clients must give."""

    user: str
    password: str = field(repr=False)

    def matches(self, user: bytes, password: bytes) -> bool:
        """Whether these are they, in a time that tells nothing."""
        right_user = hmac.compare_digest(user, self.user.encode("utf-8"))
        right_password = hmac.compare_digest(password, self.password.encode("utf-8"))
        return right_user and right_password


class SocksFrontEnd:
    """See the module; hand each accepted stream to `serve`.

    What a client says behind its request goes with the question where the dial can do that
    (`early`).
    """

    def __init__(
        self,
        dial: Dial,
        observer: Observer,
        login: SocksLogin | None = None,
        early: EarlyDial | None = None,
    ) -> None:
        self._dial = early or without_early(dial)
        self._observer = observer
        self._relay = VisitRelay(observer)
        self._login = login
        self._asking: Alarm[TimeLimit] = Alarm(REQUEST_SECONDS, TimeLimit.expire)

    async def serve(self, stream: Stream, ticket: Ticket) -> None:
        """Serve one client until its stream ends. Raises nothing but cancellation."""
        visit = Visit(METHOD, ticket.client)
        try:
            await self._serve(stream, ticket, visit)
        except SocksRefused as refused:
            visit.reason = refused.reason
            await self._say(stream, refused.answer)
        except TimeoutError:
            visit.reason = "no whole request in time"
            stream.abort()
        except (RemoteProtocolError, EndOfData, StreamError) as error:
            visit.reason = str(error) or "ended within the request"
            stream.abort()
        except Exception:
            # The one broad catch of this task: a bug ends this client's stream, nobody else's.
            logger.exception("SOCKS client %s failed", ticket.client)
            stream.abort()
        finally:
            self._relay.left(visit, ticket)

    async def _serve(self, stream: Stream, ticket: Ticket, visit: Visit) -> None:
        with TimeLimit(None, self._asking):
            request = await self._request(stream)
        ticket.settled()
        visit.address = str(request.address)
        early = EarlyData(stream)
        try:
            destination = await self._dial(request.address, early)
        except DialError as error:
            visit.status = error.failure.status
            self._observer.counters.refused(error.failure)
            raise SocksRefused(reply(request.version, error.failure), str(error)) from error
        visit.status = SUCCEEDED
        try:
            answer = reply(request.version, None, destination.peer)
            if not stream.send_at_once(answer):
                await stream.send(answer)
        except StreamError:
            destination.abort()
            raise
        await self._relay.relay(visit, ticket, stream, destination, early.sent)

    async def _request(self, stream: Stream) -> SocksRequest:
        data = await stream.receive()
        if self._login is not None or not is_whole_greeting(data):
            stream.unread(data)
            return await self._request_in_pieces(stream)
        if not stream.send_at_once(NO_LOGIN):
            await stream.send(NO_LOGIN)
        asked = await stream.receive()
        request = whole_request(asked)
        if request is None:
            stream.unread(asked)
            request = await self._request_in_pieces(stream, data)
        return request

    async def _request_in_pieces(self, stream: Stream, greeting: bytes = b"") -> SocksRequest:
        """The request, however it comes; a `greeting` has come before, and been answered."""
        buffer = Buffer()
        dialogue = serve_socks(buffer, self._login.matches if self._login else None)
        if greeting:
            buffer.feed(greeting)
            next(dialogue)
        while True:
            try:
                step = next(dialogue)
            except StopIteration as done:
                # What came early is the destination's.
                stream.unread(buffer.take(len(buffer)))
                request: SocksRequest = done.value
                return request
            if not isinstance(step, Need):
                await stream.send(step)
            elif data := await stream.receive():
                buffer.feed(data)
            else:
                buffer.end()

    async def _say(self, stream: Stream, answer: bytes) -> None:
        try:
            await stream.send(answer)
        except StreamError:
            stream.abort()
        await stream.close()
