"""`BoxConversation`: one client's requests through a middlebox, one after the other."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from underpass.address import Address
from underpass.errors import DialError, RemoteProtocolError, StreamError
from underpass.net.message_stream import MessageStream
from underpass.net.stream import Stream
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.framing import BodyKind
from underpass.protocol.http.head import HTTP_11, RequestHead, ResponseHead, serialise_response
from underpass.protocol.http.message import Data, EndOfMessage, RequestReader, ResponseReader
from underpass.protocol.http.rules import upgrade_requested, wants_keep_alive
from underpass.protocol.http.target import AbsoluteTarget, parse_absolute, parse_authority
from underpass.testing.middlebox.behaviour import Connect, Hold
from underpass.testing.middlebox.login import challenge_fields
from underpass.testing.middlebox.messages import (
    change_request,
    change_response,
    encode_body,
    encode_request,
)
from underpass.testing.middlebox.pump import Fuse, Side, pump
from underpass.testing.middlebox.state import BoxState

THRESHOLD_BYTES = 64 * 1024
BLOCK_PAGE = b"<html><body>This site is blocked by policy.</body></html>"
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
SWITCHING_PROTOCOLS = 101


class Ended(Exception):  # noqa: N818 - never leaves this room
    """The conversation is over."""


@dataclass(slots=True)
class Refusal(Exception):  # noqa: N818
    """Answer with this status, and go on."""

    status: int
    fields: Fields
    body: bytes = b""


class BoxConversation:
    """See the module. `inline`: where every request goes, for a box that is no proxy."""

    def __init__(self, state: BoxState, client: Side, inline: Address | None) -> None:
        self._state = state
        self._client = client
        self._inline = inline
        self._messages = MessageStream(client.stream, RequestReader())
        self._fuse = Fuse(state.random, state.behaviour.reset_chance)

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
        keep = wants_keep_alive(head) and head.method != b"CONNECT"
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
        challenges = self._state.login.challenges(head, behaviour)
        if challenges is not None:
            raise Refusal(407, challenge_fields(challenges))
        if self._state.random.random() < behaviour.unavailable_chance:
            raise Refusal(503, self._retry_after())
        if head.method == b"CONNECT":
            await self._connect(head)
            return False
        if head.method.decode("latin-1") not in behaviour.methods:
            raise Refusal(405, Fields([(b"Allow", ", ".join(behaviour.methods).encode())]))
        if behaviour.max_target and len(head.target) > behaviour.max_target:
            raise Refusal(414, Fields())
        framing = self._messages.reader.framing
        if framing.kind is BodyKind.CHUNKED and (behaviour.refuse_chunked or behaviour.http_10):
            raise Refusal(411, Fields())
        if not behaviour.forward and self._inline is None:
            raise Refusal(403, Fields(), BLOCK_PAGE)
        target = self._target(head)
        return await self._forward(head, target)

    def _retry_after(self) -> Fields:
        seconds = self._state.behaviour.retry_after
        return Fields([(b"Retry-After", b"%d" % seconds)] if seconds else [])

    def _target(self, head: RequestHead) -> AbsoluteTarget:
        if self._inline is not None:
            where = head.fields.get(b"host") or b"inline"
            return AbsoluteTarget(self._inline, head.target, where)
        try:
            return parse_absolute(head.target, head.method)
        except RemoteProtocolError as error:
            raise Refusal(400, Fields(), error.reason.encode()) from None

    async def _dial(self, address: Address) -> Stream:
        try:
            return await self._state.dial(address)
        except DialError as error:
            raise Refusal(502, Fields(), str(error).encode()) from None

    # --- CONNECT

    async def _connect(self, head: RequestHead) -> None:
        connect = self._state.behaviour.connect
        try:
            address = parse_authority(head.target)
        except RemoteProtocolError as error:
            raise Refusal(400, Fields(), error.reason.encode()) from None
        if connect is Connect.REFUSED or (connect is Connect.ONLY_443 and address.port != 443):
            raise Refusal(403, Fields(), BLOCK_PAGE)
        if connect is Connect.BLOCK_PAGE:
            raise Refusal(200, Fields([(b"Content-Type", b"text/html")]), BLOCK_PAGE)
        stream = await self._dial(address)
        await self._client.send(ESTABLISHED)
        self._messages.release()
        await self._pump(stream)

    async def _pump(self, stream: Stream) -> None:
        async with Side.over(stream, self._state.up, self._state) as server:
            await pump(self._client, server, self._fuse)

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
        times = 1 + (behaviour.repeat_posts if head.method in (b"POST", b"PUT") else 0)
        for _ in range(times - 1):
            await self._once_more(target, message, head)
        if behaviour.replay_after and head.method == b"POST":
            self._client.later(
                behaviour.replay_after, lambda: self._once_more(target, message, head)
            )
        async with Side.over(
            await self._dial(target.address), self._state.up, self._state
        ) as server:
            await server.send(self._fuse.burn(message, self._client.stream, server.stream))
            return await self._answer(head, server, key)

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
                raise Refusal(413, Fields([(b"Connection", b"close")]))
            parts.append(event.data)
        return b"".join(parts)

    async def _once_more(self, target: AbsoluteTarget, message: bytes, head: RequestHead) -> None:
        """Send the same again, and read over the answer."""
        try:
            stream = await self._state.dial(target.address)
            try:
                await stream.send(message)
                messages = MessageStream(stream, ResponseReader())
                messages.reader.expect(head.method)
                while not isinstance(await messages.next_event_within(10), EndOfMessage):
                    continue
            finally:
                stream.abort()
        except (DialError, StreamError, RemoteProtocolError, TimeoutError):
            # Nobody waits for it.
            return

    async def _answer(self, request: RequestHead, server: Side, key: bytes) -> bool:
        behaviour = self._state.behaviour
        messages = MessageStream(server.stream, ResponseReader())
        messages.reader.expect(request.method)
        while True:
            head = await messages.next_event()
            if not isinstance(head, ResponseHead):
                raise Ended
            if head.status == SWITCHING_PROTOCOLS and upgrade_requested(request):
                await self._client.send(serialise_response(head))
                self._messages.release()
                messages.release()
                await pump(self._client, server, self._fuse)
                return False
            if head.status >= 200:
                break
        kind = messages.reader.framing.kind
        if kind is BodyKind.CHUNKED and behaviour.refuse_chunked:
            raise Refusal(502, Fields())
        return await self._deliver(request, change_response(head, kind, behaviour), messages, key)

    async def _deliver(
        self,
        request: RequestHead,
        head: ResponseHead,
        messages: MessageStream[ResponseReader],
        key: bytes,
    ) -> bool:
        """Send the response on, as its hold says."""
        behaviour = self._state.behaviour
        streams = messages.reader.framing.kind in (BodyKind.CHUNKED, BodyKind.UNTIL_CLOSE)
        held = bytearray(serialise_response(head))
        begun = len(held)
        hold = behaviour.responses
        if hold is Hold.NEVER and streams:
            await self._client.send(bytes(held))
            await asyncio.sleep(behaviour.idle_limit or 3600)
            raise Ended
        body_begun = False
        while not isinstance(event := await messages.next_event(), EndOfMessage):
            if not isinstance(event, Data):
                raise Ended
            held += encode_body(event.data, head, behaviour, is_first=not body_begun)
            body_begun = True
            if hold is Hold.NO or (hold is Hold.THRESHOLD and len(held) - begun >= THRESHOLD_BYTES):
                await self._send(held)
                hold = Hold.NO
        held += encode_body(b"", head, behaviour, is_first=not body_begun)
        if behaviour.cache_gets and request.method == b"GET" and not streams:
            self._state.cache[key] = bytes(held)
        await self._send(held)
        return wants_keep_alive(request) and wants_keep_alive(head) and not behaviour.http_10

    async def _send(self, held: bytearray) -> None:
        data = self._fuse.burn(bytes(held), self._client.stream)
        held.clear()
        await self._client.send(data)
