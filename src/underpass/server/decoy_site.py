"""`SiteDecoy`: to strangers the server is another web site, which is asked for each answer."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator

import truststore

from underpass.carriers.server_url import ServerUrl
from underpass.errors import ConfigurationError, DialError, RemoteProtocolError, StreamError
from underpass.net.clock import TimeLimit
from underpass.net.connect import connect_tls
from underpass.net.message_stream import MessageStream
from underpass.net.stream import Dial, Stream
from underpass.net.transport import TransportStream
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.framing import BodyKind
from underpass.protocol.http.head import RequestHead, ResponseHead, serialise_request
from underpass.protocol.http.message import Data, EndOfMessage, ResponseReader
from underpass.protocol.http.rules import forwarded_request, forwarded_response
from underpass.protocol.http.target import AbsoluteTarget, TargetForm, form_of, parse_absolute
from underpass.server.decoy import Decoy
from underpass.server.page import Page, text_page

# From asking to the head of the answer, and for each piece after it.
ANSWER_SECONDS = 30.0
TLS_SECONDS = 10.0

# Ours to say, or not to be told at all: the decoy is no proxy.
_REQUEST_DROPPED = (b"via", b"upgrade", b"connection", b"te", b"content-length", b"expect")
_RESPONSE_DROPPED = (b"via", b"date", b"content-length")


class SiteDecoy(Decoy):
    """See the module. `dial` opens streams to the site; no policy is asked: its owner named it."""

    def __init__(self, url: str, dial: Dial) -> None:
        """Raises `ConfigurationError` for what is no URL of a site."""
        try:
            self._url = ServerUrl.parse(url)
        except ValueError as error:
            raise ConfigurationError(f"decoy: {url}: {error}") from None
        self._dial = dial
        self._tls = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if self._url.is_tls else None

    async def answer(self, head: RequestHead, body: bytes) -> Page:
        try:
            if form_of(head) is TargetForm.AUTHORITY:
                return text_page(405)
            request = self._request(head, body)
        except RemoteProtocolError:
            return text_page(400)
        stream: Stream | None = None
        try:
            with TimeLimit(ANSWER_SECONDS):
                stream = await self._open()
                messages = MessageStream(stream, ResponseReader())
                messages.reader.expect(head.method)
                await stream.send(serialise_request(request) + body)
                answer = await _final_head(messages)
        except (DialError, StreamError, RemoteProtocolError, TimeoutError) as error:
            if stream is not None:
                stream.abort()
            return text_page(504 if isinstance(error, TimeoutError) else 502)
        except BaseException:
            if stream is not None:
                stream.abort()
            raise
        return _page(head, answer, messages)

    async def _open(self) -> Stream:
        address = self._url.address
        stream = await self._dial(address)
        if self._tls is None or not isinstance(stream, TransportStream):
            return stream
        return await connect_tls(stream, self._tls, address.host, TLS_SECONDS)

    def _request(self, head: RequestHead, body: bytes) -> RequestHead:
        own = self._url.target("")
        form = form_of(head)
        if form is TargetForm.ABSOLUTE:
            path = parse_absolute(head.target, head.method).origin_form
        else:
            path = b"/" if form is TargetForm.ASTERISK else head.target
        path = self._url.prefix.encode("ascii") + path
        target = AbsoluteTarget(own.address, path, own.host_field)
        forwarded = forwarded_request(head, target, b"decoy")
        pairs = [*forwarded.fields.without(_REQUEST_DROPPED), (b"Connection", b"close")]
        if body or b"content-length" in head.fields:
            pairs.append((b"Content-Length", b"%d" % len(body)))
        return RequestHead(forwarded.method, forwarded.target, forwarded.version, Fields(pairs))


async def _final_head(messages: MessageStream[ResponseReader]) -> ResponseHead:
    while True:
        event = await messages.next_event()
        if not isinstance(event, ResponseHead):
            raise RemoteProtocolError("ended without an answer")
        if event.status >= 200:
            return event


def _page(head: RequestHead, answer: ResponseHead, messages: MessageStream[ResponseReader]) -> Page:
    fields = forwarded_response(answer, b"decoy").fields.without(_RESPONSE_DROPPED)
    framing = messages.reader.framing
    length = framing.length if framing.kind is BodyKind.LENGTH else None
    if head.method == b"HEAD":
        # What a GET would bring.
        said = answer.fields.get(b"content-length") or b""
        length = int(said) if said.isdigit() and len(said) < 19 else None
    elif framing.kind is BodyKind.NONE:
        length = 0
    return Page(answer.status, fields, _Body(messages), length)


class _Body(AsyncGenerator[bytes, None]):
    """The body as it comes; raises `StreamError` where it is cut.

    No generator function: one that nobody began would not free the stream when it is closed.
    """

    def __init__(self, messages: MessageStream[ResponseReader]) -> None:
        self._messages = messages

    async def asend(self, value: None) -> bytes:
        try:
            event = await self._messages.next_event_within(ANSWER_SECONDS)
        except (RemoteProtocolError, TimeoutError) as error:
            raise StreamError(f"the decoy's site: {error}") from error
        if isinstance(event, EndOfMessage):
            raise StopAsyncIteration
        if not isinstance(event, Data):
            raise StreamError("the decoy's site cut its answer")
        return event.data

    async def athrow(self, *_: object) -> bytes:
        self._messages.stream.abort()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._messages.stream.abort()
