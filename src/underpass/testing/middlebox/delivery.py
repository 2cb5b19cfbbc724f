"""`Delivery`: one response on its way from the server through a middlebox to the client."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from underpass.net.message_stream import MessageStream
from underpass.net.stream import Stream
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.framing import BodyKind
from underpass.protocol.http.head import RequestHead, ResponseHead, serialise_response
from underpass.protocol.http.message import Data, EndOfMessage, ResponseReader
from underpass.protocol.http.rules import upgrade_requested, wants_keep_alive
from underpass.testing.middlebox.behaviour import Hold
from underpass.testing.middlebox.limits import Limited
from underpass.testing.middlebox.messages import change_response, encode_body, encode_end
from underpass.testing.middlebox.pump import Fuse, Side
from underpass.testing.middlebox.state import BoxState

THRESHOLD_BYTES = 64 * 1024
SWITCHING_PROTOCOLS = 101
# A body that never comes is given up by the client long before.
NEVER_SECONDS = 3600.0


class Ended(Exception):  # noqa: N818 - never leaves this room
    """The conversation is over."""


@dataclass(slots=True)
class Refusal(Exception):  # noqa: N818 - says what is answered
    """Answer with this status, and go on."""

    status: int
    fields: Fields
    body: bytes = b""


class Delivery:
    """See the module. `is_switched`: the answer was 101, and other bytes follow it both ways."""

    def __init__(
        self, state: BoxState, client: Side[Limited], server: Side[Stream], fuse: Fuse
    ) -> None:
        self._state = state
        self._client = client
        self._fuse = fuse
        self._messages = MessageStream(server.stream, ResponseReader())
        self.is_switched = False

    def release(self) -> None:
        """Let go of the server's stream, for what follows a 101."""
        self._messages.release()

    async def answer(self, request: RequestHead, key: bytes) -> bool:
        """Pass the response on; return whether the client's stream goes on.

        `key` is what the cache knows it by. Raises `Refusal`, `Ended`, and as a stream does.
        """
        head = await self._final_head(request)
        if head.status == SWITCHING_PROTOCOLS:
            self.is_switched = True
            await self._client.send(serialise_response(head))
            return False
        behaviour = self._state.behaviour
        kind = self._messages.reader.framing.kind
        if kind is BodyKind.CHUNKED and behaviour.refuse_chunked:
            raise Refusal(502, Fields())
        head = change_response(head, kind, behaviour)
        if behaviour.responses is Hold.NEVER and kind in (
            BodyKind.CHUNKED,
            BodyKind.UNTIL_CLOSE,
        ):
            await self._client.send(serialise_response(head))
            await asyncio.sleep(NEVER_SECONDS)
            raise Ended
        if not await self._deliver(head, request, key):
            return False
        return wants_keep_alive(request) and wants_keep_alive(head) and not behaviour.http_10

    async def _final_head(self, request: RequestHead) -> ResponseHead:
        self._messages.reader.expect(request.method)
        while True:
            head = await self._messages.next_event()
            if not isinstance(head, ResponseHead):
                raise Ended
            if head.status >= 200:
                return head
            if head.status == SWITCHING_PROTOCOLS and upgrade_requested(request):
                return head

    async def _deliver(self, head: ResponseHead, request: RequestHead, key: bytes) -> bool:
        """Send the response on, as its hold says; False where it ended too early."""
        behaviour = self._state.behaviour
        kind = self._messages.reader.framing.kind
        is_cut = self._state.random.random() < behaviour.truncate_chance
        held = bytearray(serialise_response(head))
        whole = bytearray()
        is_first = True
        if behaviour.responses is Hold.NO and not self._messages.reader.has_buffered:
            whole += await self._send(held)
        while not isinstance(event := await self._messages.next_event(), EndOfMessage):
            if not isinstance(event, Data):
                raise Ended
            held += encode_body(event.data, head, behaviour, is_first=is_first)
            is_first = False
            if behaviour.responses is Hold.NO or (
                behaviour.responses is Hold.THRESHOLD and len(held) >= THRESHOLD_BYTES
            ):
                if is_cut:
                    return await self._cut(held)
                whole += await self._send(held)
        if is_cut and not is_first:
            return await self._cut(held)
        if is_first and behaviour.inject and kind is not BodyKind.NONE:
            held += encode_body(b"", head, behaviour, is_first=True)
        held += encode_end(head)
        whole += await self._send(held)
        if behaviour.cache_gets and request.method == b"GET":
            self._state.cache[key] = bytes(whole)
        return True

    async def _cut(self, held: bytearray) -> bool:
        await self._client.send(bytes(held[: self._state.random.randrange(len(held))]))
        return False

    async def _send(self, held: bytearray) -> bytes:
        data = self._fuse.burn(bytes(held), self._client.stream)
        held.clear()
        await self._client.send(data)
        return data if self._state.behaviour.cache_gets else b""
