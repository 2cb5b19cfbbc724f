"""`BoxConversation`: one client's requests through a middlebox, one after the other."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from underpass.address import Address
from underpass.errors import DialError, RemoteProtocolError, StreamError, StreamReset
from underpass.net.connect import connect_tls
from underpass.net.message_stream import MessageStream
from underpass.net.stream import Stream
from underpass.net.transport import TransportStream
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.framing import BodyKind
from underpass.protocol.http.head import HTTP_11, RequestHead, ResponseHead, serialise_response
from underpass.protocol.http.message import Data, EndOfMessage, RequestReader, ResponseReader
from underpass.protocol.http.rules import wants_keep_alive
from underpass.protocol.http.target import AbsoluteTarget, parse_absolute, parse_authority
from underpass.testing.middlebox.behaviour import Connect, Login, Pages
from underpass.testing.middlebox.bound import BoundDesk
from underpass.testing.middlebox.delivery import Delivery, Ended, Refusal
from underpass.testing.middlebox.limits import Limited
from underpass.testing.middlebox.login import challenge_fields
from underpass.testing.middlebox.messages import change_request, encode_request
from underpass.testing.middlebox.pump import Fuse, Side, left_with, pump, side
from underpass.testing.middlebox.state import BoxState

__all__ = ["BoxConversation", "Ended", "Inside"]

BLOCK_PAGE = b"<html><body>This site is blocked by policy.</body></html>"
PORTAL = b"http://portal.example/login"
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
TLS_SECONDS = 10.0
TLS_HANDSHAKE = b"\x16"
REPEATED_SECONDS = 10.0

_HTML = Fields([(b"Content-Type", b"text/html")])


@dataclass(frozen=True, slots=True)
class Inside:
    """Where every request goes, for a box that is no proxy, or one that has opened TLS."""

    address: Address
    is_tls: bool


class BoxConversation:
    """See the module. `inside` is None where each request names its server itself."""

    def __init__(self, state: BoxState, client: Side[Limited], inside: Inside | None) -> None:
        self._state = state
        self._client = client
        self._inside = inside
        self._messages = MessageStream(client.stream, RequestReader())
        self._fuse = Fuse(state.random, state.behaviour.reset_chance)
        self._bound = BoundDesk()

    async def run(self) -> None:
        """Serve until the client ends or the box has had enough."""
        while True:
            head = await self._messages.next_event()
            if not isinstance(head, RequestHead):
                return
            self._state.record.heads.append(head)
            try:
                async with self._state.turn():
                    goes_on = await self._serve(head)
            except Refusal as refusal:
                goes_on = await self._refuse(head, refusal)
            if not goes_on:
                return
            self._messages.reader.start_next()

    async def _refuse(self, head: RequestHead, refusal: Refusal) -> bool:
        self._state.record.refused += 1
        keep = wants_keep_alive(head) and (head.method != b"CONNECT" or refusal.status == 407)
        if self._messages.reader.framing.kind is not BodyKind.NONE:
            keep = keep and await self._read_over()
        elif keep:
            await self._messages.next_event()
        fields = refusal.fields.adding(b"Content-Length", b"%d" % len(refusal.body))
        if not keep:
            fields = fields.adding(b"Connection", b"close")
        answer = serialise_response(ResponseHead(refusal.status, b"Box", HTTP_11, fields))
        await self._client.send(answer + refusal.body)
        return keep

    async def _read_over(self) -> bool:
        while not isinstance(event := await self._messages.next_event(), EndOfMessage):
            if not isinstance(event, Data):
                return False
        return True

    # --- what is decided from the head

    async def _serve(self, head: RequestHead) -> bool:
        behaviour = self._state.behaviour
        self._check_login(head)
        if self._state.random.random() < behaviour.unavailable_chance:
            seconds = behaviour.retry_after
            fields = [(b"Retry-After", b"%d" % seconds)] if seconds else []
            raise Refusal(503, Fields(fields))
        if head.method == b"CONNECT":
            await self._connect(head)
            return False
        self._check_plain(head)
        target = self._target(head)
        if behaviour.reorder_posts and head.method == b"POST":
            async with self._state.out_of_order():
                return await self._forward(head, target)
        return await self._forward(head, target)

    def _check_login(self, head: RequestHead) -> None:
        behaviour = self._state.behaviour
        if self._inside is not None:
            # Whoever asks for a login does so as a proxy.
            return
        desk = self._bound if behaviour.login is Login.NTLM else self._state.login
        challenges = desk.challenges(head, behaviour)
        if challenges is not None:
            raise Refusal(407, challenge_fields(challenges))

    def _check_plain(self, head: RequestHead) -> None:
        """Whether a request that is no CONNECT may go on."""
        behaviour = self._state.behaviour
        if behaviour.pages is Pages.BLOCK:
            raise Refusal(200, _HTML, BLOCK_PAGE)
        if behaviour.pages is Pages.PORTAL:
            raise Refusal(302, _HTML.adding(b"Location", PORTAL), BLOCK_PAGE)
        if not behaviour.forward and self._inside is None:
            raise Refusal(403, _HTML, BLOCK_PAGE)
        if head.method.decode("latin-1") not in behaviour.methods:
            raise Refusal(405, Fields([(b"Allow", ", ".join(behaviour.methods).encode())]))
        if behaviour.max_target and len(head.target) > behaviour.max_target:
            raise Refusal(414, Fields())
        framing = self._messages.reader.framing
        if framing.kind is BodyKind.CHUNKED and (behaviour.refuse_chunked or behaviour.http_10):
            raise Refusal(411, Fields())

    def _target(self, head: RequestHead) -> AbsoluteTarget:
        if self._inside is not None:
            where = head.fields.get(b"host") or b"inline"
            return AbsoluteTarget(self._inside.address, head.target, where)
        try:
            return parse_absolute(head.target, head.method)
        except RemoteProtocolError as error:
            raise Refusal(400, Fields(), error.reason.encode()) from None

    async def _dial(self, address: Address) -> Stream:
        try:
            stream = await self._state.dial(address)
            if self._inside is not None and self._inside.is_tls:
                await _be_client(stream, address.host)
        except DialError as error:
            raise Refusal(502, Fields(), str(error).encode()) from None
        return stream

    # --- CONNECT

    async def _connect(self, head: RequestHead) -> None:
        behaviour = self._state.behaviour
        connect = behaviour.connect
        try:
            address = parse_authority(head.target)
        except RemoteProtocolError as error:
            raise Refusal(400, Fields(), error.reason.encode()) from None
        if connect is Connect.REFUSED or (connect is Connect.ONLY_443 and address.port != 443):
            raise Refusal(403, _HTML, BLOCK_PAGE)
        if connect is Connect.BLOCK_PAGE:
            raise Refusal(200, _HTML, BLOCK_PAGE)
        if behaviour.opens_tls:
            await self._open_tls(address)
            return
        stream = await self._dial(address)
        async with side(stream, self._state.up, self._state) as server:
            await self._client.send(ESTABLISHED)
            self._messages.release()
            if behaviour.only_tls:
                await self._check_tls()
            await pump(self._client, server, self._fuse)

    async def _check_tls(self) -> None:
        begun = await self._client.stream.receive()
        if not begun.startswith(TLS_HANDSHAKE):
            raise StreamReset("not TLS")
        self._client.stream.unread(begun)

    async def _open_tls(self, address: Address) -> None:
        """Be the server to the client; what it asks then goes on by TLS of the box's own."""
        self._client.stream.hold_back()
        await self._client.send(ESTABLISHED)
        await self._client.flushed()
        self._messages.release()
        await self._client.stream.open_tls(self._state.authority.context(address.host))
        await BoxConversation(self._state, self._client, Inside(address, is_tls=True)).run()

    # --- plain requests

    async def _forward(self, head: RequestHead, target: AbsoluteTarget) -> bool:
        behaviour = self._state.behaviour
        key = head.method + b" " + target.host_field + target.origin_form
        if behaviour.cache_gets and head.method == b"GET" and key in self._state.cache:
            await self._messages.next_event()
            await self._client.send(self._state.cache[key])
            return True
        body = await self._body()
        outgoing = change_request(head, target, behaviour)
        message = encode_request(outgoing, body, behaviour, self._state.random)
        await self._repeat(head, target, message)
        stream = await self._dial(target.address)
        async with side(stream, self._state.up, self._state) as server:
            await server.send(self._fuse.burn(message, self._client.stream, stream))
            delivery = Delivery(self._state, self._client, server, self._fuse)
            async with left_with(self._client, stream, self._state):
                goes_on = await delivery.answer(head, key)
            if not delivery.is_switched:
                return goes_on
            delivery.release()
            self._messages.release()
            await pump(self._client, server, self._fuse)
            return False

    async def _body(self) -> bytes:
        """The whole body: it goes on when it is whole, as it is bounded and counted."""
        limit = self._state.behaviour.max_body
        parts: list[bytes] = []
        size = 0
        while not isinstance(event := await self._messages.next_event(), EndOfMessage):
            if not isinstance(event, Data):
                raise Ended
            size += len(event.data)
            if limit and size > limit:
                raise Refusal(413, Fields())
            parts.append(event.data)
        return b"".join(parts)

    async def _repeat(self, head: RequestHead, target: AbsoluteTarget, message: bytes) -> None:
        behaviour = self._state.behaviour
        if head.method not in (b"POST", b"PUT"):
            return
        for _ in range(behaviour.repeat_posts):
            await self._once_more(head, target, message)
        if behaviour.replay_after:
            seconds = behaviour.replay_after
            self._state.later(seconds, lambda: self._once_more(head, target, message))

    async def _once_more(self, head: RequestHead, target: AbsoluteTarget, message: bytes) -> None:
        """Send the same again, and read over the answer."""
        try:
            stream = await self._dial(target.address)
            try:
                await stream.send(message)
                messages = MessageStream(stream, ResponseReader())
                messages.reader.expect(head.method)
                while not isinstance(
                    await messages.next_event_within(REPEATED_SECONDS), EndOfMessage
                ):
                    continue
                self._state.record.repeated += 1
            finally:
                stream.abort()
        except (Refusal, StreamError, RemoteProtocolError, TimeoutError):
            # Nobody waits for it.
            return


async def _be_client(stream: Stream, host: str) -> None:
    """Start TLS to the server; such boxes hardly ever look at its certificate. Raises `DialError`.

    The tunnel's own does not need that they do.
    """
    if not isinstance(stream, TransportStream):
        raise TypeError("TLS needs a stream over a transport")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    await connect_tls(stream, context, host, TLS_SECONDS)
