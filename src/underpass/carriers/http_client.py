"""`HttpClient`: a carrier's requests to its server, over streams that are kept.

Strictly what carriers need: bodies that are whole and bounded, or one that streams down; time-outs
on every wait; a proxy's demand for a login answered on the way. Redirects are never followed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

from underpass.carriers.base import CarrierError
from underpass.carriers.server_url import ServerUrl
from underpass.errors import DialError, RemoteProtocolError, StreamError
from underpass.net.clock import TimeLimit
from underpass.net.message_stream import MessageStream
from underpass.net.route import Route
from underpass.net.stream import Stream
from underpass.protocol.frames import Payload
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.framing import BodyKind
from underpass.protocol.http.head import HTTP_11, RequestHead, ResponseHead, serialise_request
from underpass.protocol.http.message import (
    NEED_DATA,
    PAUSED,
    Data,
    EndOfMessage,
    ResponseReader,
)
from underpass.protocol.http.rules import wants_keep_alive

# One piece of a carrier at most, and a little: no answer of ours is longer.
MAX_BODY_BYTES = 4 * 1024 * 1024 + 4096

# Streams kept between two requests: as many as a carrier has under way at most.
MAX_KEPT = 32

# How often a request is sent again because a proxy asks for a login; the login has its own bound.
MAX_REPEATS = 4

# A kept stream that fails within this may have been dead already; later, the request failed.
KEPT_DEAD_SECONDS = 2.0

# A body that is sent without looking whether an answer comes meanwhile. Behind a longer one a
# refusal may already wait: squid answers 407, says keep-alive, and reads no more of it.
SHORT_BODY_BYTES = 16 * 1024

SWITCHING_PROTOCOLS = 101

_RETRY_AFTER_BOUND = 600.0


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `path` is below the server's prefix; `seconds` bounds the wait for its answer.

    `is_repeatable`: sent again by itself when a kept stream turns out to be dead; one that is not
    goes over a stream of its own.
    """

    method: str
    path: str
    body: bytes = b""
    fields: Fields = field(default_factory=Fields)
    seconds: float = 30.0
    is_repeatable: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response."""

    status: int
    fields: Fields
    body: bytes

    def error(self, what: str) -> CarrierError:
        """What a status that was not hoped for means."""
        return status_error(what, self.status, self.fields)


@dataclass(slots=True)
class _Way:
    """One stream to the server or a proxy, and the route that opened it, with its login.

    `is_cut`: a request on it was not sent to its end, so nothing can follow.
    """

    route: Route
    messages: MessageStream[ResponseReader]
    is_cut: bool = False


class HttpClient:
    """See the module. `route` makes a route to the server, for one stream each."""

    def __init__(self, url: ServerUrl, route: Callable[[], Route]) -> None:
        self._url = url
        self._route = route
        self._kept: list[_Way] = []

    async def exchange(self, request: Request) -> Answer:
        """Send `request` and return the whole response. Raises `CarrierError`."""
        async with self._answering(request) as (way, head):
            body = await self._body(way, request)
            self._keep(way, head)
            return Answer(head.status, head.fields, body)

    @contextlib.asynccontextmanager
    async def streaming(self, request: Request) -> AsyncIterator[StreamedAnswer]:
        """Send `request`; the response's body is received piece by piece within the block."""
        async with self._answering(request) as (way, head):
            try:
                yield StreamedAnswer(head, way.messages)
            finally:
                way.messages.stream.abort()

    async def upgrade(self, request: Request) -> tuple[ResponseHead, Stream]:
        """Send a request that asks for another protocol; the 101's head, and the stream after it.

        Raises `CarrierError` for every other answer.
        """
        async with self._answering(request) as (way, head):
            if head.status == SWITCHING_PROTOCOLS:
                return head, way.messages.release()
            way.messages.stream.abort()
            raise status_error("no WebSocket", head.status, head.fields)

    def close(self) -> None:
        """Let go of all kept streams."""
        for way in self._kept:
            way.messages.stream.close_soon()
        self._kept.clear()

    @contextlib.asynccontextmanager
    async def _answering(self, request: Request) -> AsyncIterator[tuple[_Way, ResponseHead]]:
        """Send, and wait for the final head, within the request's time."""
        way: _Way | None = None
        try:
            with TimeLimit(request.seconds):
                way, head = await self._send(request)
            yield way, head
        except TimeoutError:
            self._abort(way)
            raise CarrierError(f"no answer to {request.method} in {request.seconds:g} s") from None
        except (DialError, RemoteProtocolError, StreamError) as error:
            self._abort(way)
            raise CarrierError(str(error)) from error
        except BaseException:
            self._abort(way)
            raise

    def _abort(self, way: _Way | None) -> None:
        if way is not None:
            way.messages.stream.abort()

    async def _send(self, request: Request) -> tuple[_Way, ResponseHead]:
        now = asyncio.get_running_loop().time
        way = self._take_kept() if request.is_repeatable else None
        if way is not None:
            started = now()
            try:
                return await self._ask(way, request)
            except (StreamError, RemoteProtocolError):
                # It was ended while it was kept; that is known within a round trip.
                if now() - started > KEPT_DEAD_SECONDS:
                    raise
        return await self._ask(await self._open(), request)

    async def _ask(self, way: _Way, request: Request) -> tuple[_Way, ResponseHead]:
        """Send and wait for the final head; anew while a proxy asks for a login."""
        is_long = len(request.body) > SHORT_BODY_BYTES
        for _ in range(MAX_REPEATS):
            # A long body would be sent for nothing: a request to no page at all goes in its place.
            rehearses = is_long and way.route.must_rehearse
            sent = replace(request, path="", body=b"") if rehearses else request
            try:
                head = await self._head(way, sent)
                if not (await way.route.must_repeat(head) or rehearses):
                    return way, head
                # A login that is bound to its stream goes on over it.
                goes_on = wants_keep_alive(head) and (rehearses or not is_long)
                if not (goes_on and await self._has_finished(way)):
                    way.messages.stream.abort()
                    way = await self._reopen(way)
            except BaseException:
                way.messages.stream.abort()
                raise
        way.messages.stream.abort()
        raise CarrierError("a proxy asks for a login again and again", head.status)

    async def _head(self, way: _Way, request: Request) -> ResponseHead:
        target = self._url.target(request.path)
        pairs = [(b"Host", target.host_field), *request.fields]
        if request.body or request.method in ("POST", "PUT"):
            pairs.append((b"Content-Length", b"%d" % len(request.body)))
        method = request.method.encode("ascii")
        head = RequestHead(method, target.origin_form, HTTP_11, Fields(pairs))
        messages = way.messages
        messages.reader.expect(method)
        data = serialise_request(way.route.addressed(head, target)) + request.body
        if len(request.body) <= SHORT_BODY_BYTES:
            await messages.stream.send(data)
            return await self._final_head(way)
        return await self._head_meanwhile(way, data)

    async def _head_meanwhile(self, way: _Way, data: bytes) -> ResponseHead:
        """Send `data`, and stop when an answer comes before its end."""
        answer: ResponseHead | Exception
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(_send_all(way.messages.stream, data), name="body")
            try:
                answer = await self._final_head(way)
            except (StreamError, RemoteProtocolError) as error:
                # A task group would wrap it.
                answer = error
            way.is_cut = not sending.done()
            sending.cancel()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _final_head(self, way: _Way) -> ResponseHead:
        while True:
            event = await way.messages.next_event()
            if not isinstance(event, ResponseHead):
                raise RemoteProtocolError("ended without an answer")
            if event.status >= 200 or event.status == SWITCHING_PROTOCOLS:
                return event

    async def _body(self, way: _Way, request: Request) -> bytes:
        parts: list[bytes] = []
        size = 0
        with TimeLimit(request.seconds):
            while not isinstance(event := await way.messages.next_event(), EndOfMessage):
                if not isinstance(event, Data):
                    raise RemoteProtocolError("the response was cut")
                size += len(event.data)
                if size > MAX_BODY_BYTES:
                    raise RemoteProtocolError("a response longer than any of the server's")
                parts.append(event.data)
        return b"".join(parts)

    async def _has_finished(self, way: _Way) -> bool:
        """Read over a refusal's body; whether another request may follow."""
        size = 0
        while not isinstance(event := await way.messages.next_event(), EndOfMessage):
            if not isinstance(event, Data) or (size := size + len(event.data)) > MAX_BODY_BYTES:
                return False
        way.messages.reader.start_next()
        return True

    # --- streams

    def _take_kept(self) -> _Way | None:
        while self._kept:
            way = self._kept.pop()
            if way.messages.stream.is_quiet:
                return way
            way.messages.stream.close_soon()
        return None

    async def _open(self) -> _Way:
        route = self._route()
        return _Way(route, MessageStream(await route.open(), ResponseReader()))

    async def _reopen(self, way: _Way) -> _Way:
        """Another stream for the same route: its login goes on."""
        return _Way(way.route, MessageStream(await way.route.open(), ResponseReader()))

    def _keep(self, way: _Way, head: ResponseHead) -> None:
        messages = way.messages
        ends = messages.reader.framing.kind is BodyKind.UNTIL_CLOSE or not wants_keep_alive(head)
        if ends or way.is_cut or len(self._kept) >= MAX_KEPT or not messages.stream.is_quiet:
            messages.stream.close_soon()
            return
        messages.reader.start_next()
        self._kept.append(way)


async def _send_all(stream: Stream, data: bytes) -> None:
    # Who receives from the stream hears why it ended, and perhaps an answer before.
    with contextlib.suppress(StreamError):
        await stream.send(data)


class StreamedAnswer:
    """A response whose body comes piece by piece."""

    def __init__(self, head: ResponseHead, messages: MessageStream[ResponseReader]) -> None:
        self.head = head
        self._messages = messages

    async def pour(self, take: Callable[[bytes], None], seconds: float) -> None:
        """Give the body to `take` as it comes; return at its end.

        Raises `StreamError`, `RemoteProtocolError`, and `TimeoutError` once nothing comes for
        `seconds`, or a little longer.
        """
        body = _PouredBody(self._messages.reader, take)
        tap = self._messages.stream.pour(body)
        try:
            body.read()
            tap.go_on()
            while not body.done.done():
                body.has_come = False
                await asyncio.wait((body.done,), timeout=seconds)
                if not (body.has_come or body.done.done()):
                    raise TimeoutError
            body.done.result()
        finally:
            tap.stop()


class _PouredBody:
    """The rest of a response as a `Sink`: what comes is read within the stream's own call."""

    def __init__(self, reader: ResponseReader, take: Callable[[bytes], None]) -> None:
        self._reader = reader
        self._take = take
        self.has_come = False
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def read(self) -> None:
        """Give on what the reader has, joined, as small chunks would cost much each."""
        parts: list[bytes] = []
        try:
            while isinstance(event := self._reader.next_event(), Data):
                parts.append(event.data)
            if isinstance(event, EndOfMessage):
                self._end(None)
            elif event is not NEED_DATA and event is not PAUSED:
                raise RemoteProtocolError("the response was cut")
        except RemoteProtocolError as error:
            self._end(error)
        if parts:
            self._take(parts[0] if len(parts) == 1 else b"".join(parts))

    def _end(self, error: StreamError | RemoteProtocolError | None) -> None:
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)

    def came(self, data: Payload) -> None:
        self.has_come = True
        self._reader.receive_data(bytes(data))
        self.read()

    def ended(self) -> None:
        self._reader.receive_eof()
        self.read()

    def lost(self, error: StreamError | None) -> None:
        if error is None:
            self.ended()
        else:
            self._end(error)

    def ready(self) -> None:
        """Nothing more is sent."""


def status_error(what: str, status: int, fields: Fields) -> CarrierError:
    """`CarrierError` for a response; Retry-After is kept to if it is in seconds and sane."""
    said = fields.get(b"retry-after") or b""
    seconds = min(float(said), _RETRY_AFTER_BOUND) if said.isdigit() and len(said) < 6 else None
    return CarrierError(f"{what}: HTTP {status}", status, seconds)
