"""`Endpoint`: the server's HTTP, for carriers and for any visitor alike.

To whoever does not prove to be a client it is an ordinary web site (docs/carriers.md): each request
is read in the same way and in the same time, and what is no carrier's gets the decoy's answer.
"""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass, field, replace

from underpass.carriers.base import CarrierError, Door
from underpass.carriers.pieces import MAX_PIECE_BYTES
from underpass.carriers.served_pieces import MAX_HOLD_SECONDS, ServedPieces, Wish
from underpass.carriers.websocket_messages import Messages, accept_value, run_messages
from underpass.errors import StreamError
from underpass.net.gate import Ticket
from underpass.net.stream import Stream
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import HTTP_11, RequestHead, ResponseHead, serialise_response
from underpass.server.carrier_table import CarrierTable
from underpass.server.decoy import Decoy, NothingHere
from underpass.server.page import Page
from underpass.server.router import Act, Place, route
from underpass.server.visit import Visit, VisitLimits

logger = logging.getLogger(__name__)

# A body that no carrier sends is read up to this, as a small site does with a form.
STRANGER_BODY_BYTES = 64 * 1024
# docs/protocol.md section 2: head and body of an opening message.
MAX_OPENING_BYTES = 3 + 4096

# A stranger's answer takes a whole number of these: ten times what it costs to find that a hello
# is none, so that no clock tells which requests were looked at as one.
QUIET_SECONDS = 0.005

_WAIT = re.compile(rb"wait=([0-9]{1,3})")
_BYTES = re.compile(rb"bytes=([0-9]{1,8})")

_WHOLE = Fields(
    [
        (b"Content-Type", b"application/octet-stream"),
        (b"Cache-Control", b"no-store, no-transform"),
    ]
)
_STREAMED = Fields([*_WHOLE, (b"X-Accel-Buffering", b"no"), (b"Incremental", b"?1")])
_EMPTY = Fields([(b"Cache-Control", b"no-store, no-transform")])


@dataclass(frozen=True, slots=True)
class EndpointOptions:
    """`prefix` is the path below which carriers are, without a slash at its end."""

    prefix: str = ""
    limits: VisitLimits = field(default_factory=VisitLimits)


class Endpoint:
    """See the module. `serve` is for a listener; `table` runs what lasts longer than a request."""

    def __init__(
        self,
        door: Door,
        table: CarrierTable,
        options: EndpointOptions | None = None,
        decoy: Decoy | None = None,
    ) -> None:
        self._door = door
        self._table = table
        self._options = options or EndpointOptions()
        self._decoy = decoy or NothingHere()
        self._visits: set[Visit] = set()

    async def serve(self, stream: Stream, ticket: Ticket) -> None:
        """Serve one stream until either end has had enough. Raises nothing but cancellation."""
        visit = Visit(stream, self._options.limits)
        self._visits.add(visit)
        try:
            while (head := await visit.next_head()) is not None:
                if not await self._serve(visit, head, ticket):
                    break
            await stream.close()
        except StreamError:
            stream.abort()
        except Exception:
            # The one broad catch of this task: a bug ends this visitor's stream, nobody else's.
            logger.exception("a request from %s failed", ticket.client)
            stream.abort()
        finally:
            self._visits.discard(visit)

    def drain(self) -> None:
        """Let requests under way finish; visitors that wait between two are let go."""
        for visit in self._visits:
            visit.drain()

    async def _serve(self, visit: Visit, head: RequestHead, ticket: Ticket) -> bool:
        """Answer one request; return whether the visit goes on."""
        place = route(head, self._options.prefix)
        pieces = self._table.find(place.token) if place is not None else None
        if pieces is not None:
            ticket.settled()
        body = await visit.body(head, STRANGER_BODY_BYTES if pieces is None else MAX_PIECE_BYTES)
        if body is None:
            return False
        arrived = asyncio.get_running_loop().time()
        page: Page | None = None
        if place is not None and place.act is Act.WEBSOCKET:
            if await self._websocket(visit, head, place, ticket):
                return False
        elif place is not None and place.act is Act.OPEN:
            page = await self._open(place, body, ticket)
        elif place is not None and pieces is not None and place.act is Act.STREAM:
            page = _streamed_page(pieces, visit.stream)
        elif place is not None and pieces is not None:
            page = await self._carried(pieces, place, head, body)
        elif place is not None and place.act is Act.END and self._table.has_ended(place.token):
            page = Page(204, _EMPTY)
        return await visit.send(head, page or await self._strange(head, body, arrived))

    async def _strange(self, head: RequestHead, body: bytes, arrived: float) -> Page:
        """What any visitor finds, and no sooner or later for one who tried to be a client."""
        page = await self._decoy.answer(head, body)
        taken = asyncio.get_running_loop().time() - arrived
        await asyncio.sleep(QUIET_SECONDS - taken % QUIET_SECONDS)
        return page

    async def _open(self, place: Place, body: bytes, ticket: Ticket) -> Page | None:
        message = place.data or body
        if len(message) > MAX_OPENING_BYTES:
            return None
        # Where the target carries the message, that was piece 0 each way.
        answer = await self._table.open(place.token, message, 1 if place.data else 0)
        if answer is None:
            return None
        ticket.settled()
        return Page(200, _WHOLE, answer)

    async def _carried(
        self, pieces: ServedPieces, place: Place, head: RequestHead, body: bytes
    ) -> Page | None:
        """What a carrier answers; None where it has nothing to say to this."""
        try:
            match place.act:
                case Act.UP:
                    await pieces.up(place.number, body)
                    return Page(204, _EMPTY)
                case Act.DOWN:
                    return _down_page(*await pieces.down(place.number, _wish(head)))
                case Act.EXCHANGE:
                    await pieces.up(place.number, place.data)
                    wish = _wish(head)
                    # One that brings something goes back at once: what is to go up next may need
                    # its place on the way.
                    wish = replace(wish, hold=0.0) if place.data else wish
                    return _down_page(*await pieces.down(place.number, wish))
                case _:
                    pieces.end("ended by the client")
                    return Page(204, _EMPTY)
        except CarrierError:
            return None

    async def _websocket(
        self, visit: Visit, head: RequestHead, place: Place, ticket: Ticket
    ) -> bool:
        """Run a WebSocket until it ends; False, with nothing answered, for a stranger."""
        if len(place.data) > MAX_OPENING_BYTES:
            return False
        admission = await self._door(place.data)
        if admission is None:
            return False
        ticket.settled()
        await visit.tell(_switching(head.fields.get(b"sec-websocket-key") or b""))
        messages = Messages(visit.release(), is_client=False)
        await messages.send(admission.answer)
        if admission.carry is not None:
            await admission.carry(lambda feed: run_messages(messages, feed))
        return True


def _streamed_page(pieces: ServedPieces, stream: Stream) -> Page | None:
    """All that comes down, as it comes; None where it has been asked for before."""
    if not pieces.may_stream:
        return None
    return Page(200, _STREAMED, pieces.streamed(lambda: stream.portion))


def _down_page(parts: list[bytes], waited: float) -> Page:
    timing = (b"Server-Timing", b"wait;dur=%d" % (waited * 1000))
    return Page(200, Fields([*_WHOLE, timing]), b"".join(parts))


def _wish(head: RequestHead) -> Wish:
    """What ``Prefer`` asks for (RFC 7240): ``wait=SECONDS``, and our own ``bytes=SIZE``."""
    preferred = b",".join(head.fields.get_all(b"prefer")).replace(b";", b",").split(b",")
    wish = Wish()
    for preference in preferred:
        if wait := _WAIT.fullmatch(preference.strip()):
            wish = replace(wish, hold=min(float(wait[1]), MAX_HOLD_SECONDS))
        elif size := _BYTES.fullmatch(preference.strip()):
            wish = replace(wish, size=max(1, min(int(size[1]), MAX_PIECE_BYTES)))
    return wish


def _switching(key: bytes) -> bytes:
    fields = [
        (b"Upgrade", b"websocket"),
        (b"Connection", b"Upgrade"),
        (b"Sec-WebSocket-Accept", accept_value(key)),
    ]
    return serialise_response(ResponseHead(101, b"Switching Protocols", HTTP_11, Fields(fields)))
