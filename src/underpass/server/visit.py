"""`Visit`: the requests that come over one stream to the server, and what is answered.

Nothing here knows of carriers: reading and time-outs are the same for every request, so that they
tell nobody apart.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from underpass.errors import Failure, RemoteProtocolError
from underpass.net.clock import TimeLimit
from underpass.net.message_stream import MANY_PIECES, MessageStream
from underpass.net.stream import Stream
from underpass.protocol.http.chunked import encode_chunk, encode_last_chunk
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import HTTP_11, HeadLimits, RequestHead
from underpass.protocol.http.message import Data, EndOfMessage, RequestReader, Signal
from underpass.protocol.http.rules import expects_continue, wants_keep_alive
from underpass.server.page import BODILESS, Page, page_head, text_page

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True, slots=True)
class VisitLimits:
    """Seconds that a visitor may take, and the bounds of a head.

    `answer_timeout` is for a visitor that takes none of the bytes that are sent.
    """

    head_timeout: float = 10.0
    body_timeout: float = 60.0
    keep_alive_timeout: float = 75.0
    answer_timeout: float = 60.0
    head: HeadLimits = field(default_factory=HeadLimits)


class Visit:
    """See the module. Raises `StreamError` wherever the visitor is gone."""

    def __init__(self, stream: Stream, limits: VisitLimits) -> None:
        self.stream = stream
        self._limits = limits
        self._inbound = MessageStream(stream, RequestReader(limits.head))
        self._waiting: TimeLimit | None = None
        self._is_draining = False
        self._is_first = True

    def drain(self) -> None:
        """Wait for no next request; one that is being answered is finished."""
        self._is_draining = True
        if self._waiting is not None:
            self._waiting.expire()

    async def next_head(self) -> RequestHead | None:
        """The next request; None where there is none, or it was refused."""
        limits = self._limits
        seconds = limits.head_timeout if self._is_first else limits.keep_alive_timeout
        if self._is_draining:
            return None
        if not self._is_first:
            self._start_next()
        self._is_first = False
        try:
            if not self._inbound.reader.has_buffered:
                with TimeLimit(seconds) as self._waiting:
                    await self._inbound.fill()
            event = await self._inbound.next_event_within(limits.head_timeout)
        except TimeoutError:
            return None
        except RemoteProtocolError as error:
            await self.send(None, text_page(error.failure.status))
            return None
        finally:
            self._waiting = None
        return event if isinstance(event, RequestHead) else None

    def _start_next(self) -> None:
        reader = self._inbound.reader
        while reader.next_event() is not Signal.PAUSED:
            pass
        reader.start_next()

    async def body(self, head: RequestHead, limit: int) -> bytes | None:
        """The whole body of the request; None where it was refused: the visit is over then."""
        try:
            if expects_continue(head):
                await self._inbound.send_within(_CONTINUE, self._limits.answer_timeout)
            with TimeLimit(self._limits.body_timeout):
                # What follows CONNECT is no body, and nothing for us (RFC 9110 9.3.6).
                return b"" if head.method == b"CONNECT" else await self._read_body(limit)
        except TimeoutError:
            failure = Failure.REQUEST_TIMEOUT
        except RemoteProtocolError as error:
            failure = error.failure
        await self.send(None, text_page(failure.status))
        return None

    async def _read_body(self, limit: int) -> bytes:
        inbound = self._inbound
        if inbound.reader.framing.length > limit:
            raise RemoteProtocolError("a body too long", Failure.BODY_TOO_LARGE)
        parts: list[bytes] = []
        size = 0
        while isinstance(event := await inbound.next_event(), Data):
            parts.append(event.data)
            size += len(event.data)
            if size > limit:
                raise RemoteProtocolError("a body too long", Failure.BODY_TOO_LARGE)
            if not len(parts) % MANY_PIECES:
                # A receive that need not wait gives nobody else a turn.
                await asyncio.sleep(0)
        if not isinstance(event, EndOfMessage):
            raise RemoteProtocolError("ended within a request body")
        return b"".join(parts)

    async def send(self, head: RequestHead | None, page: Page) -> bool:
        """Answer; return whether another request may follow. `head` is None for none that is one.

        Raises whatever a body that comes raises, after a cut that tells the visitor.
        """
        version = head.version if head is not None else HTTP_11
        keep = head is not None and wants_keep_alive(head) and not self._is_draining
        keep = keep and (page.size is not None or version >= HTTP_11)
        keep = keep and head is not None and head.method != b"CONNECT"
        start = page_head(page, version, keep=keep)
        bodiless = page.status in BODILESS or (head is not None and head.method == b"HEAD")
        if isinstance(page.body, bytes):
            await self.tell(start if bodiless else start + page.body)
            return keep
        async with contextlib.aclosing(page.body) as body:
            await self.tell(start)
            if not bodiless:
                chunked = page.size is None and version >= HTTP_11
                await self._send_coming(body, chunked=chunked)
        return keep

    async def _send_coming(self, body: AsyncIterator[bytes], *, chunked: bool) -> None:
        self.stream.keep_shallow()
        async for data in body:
            await self.tell(encode_chunk(data) if chunked else data)
        if chunked:
            await self.tell(encode_last_chunk(Fields()))

    async def tell(self, data: bytes) -> None:
        """Send, within the time that a visitor has to take it."""
        await self._inbound.send_within(data, self._limits.answer_timeout)

    def release(self) -> Stream:
        """The stream, with what has come after the request, for another protocol on it."""
        return self._inbound.release()
