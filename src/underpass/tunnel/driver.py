"""`SessionDriver`: runs a sans-IO session on an event loop.

Every call into the session is followed by `settle`: events go to the streams, offers and carriers
they concern, feeds are woken if there may be something to send, and the timer is set.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from functools import partial
from typing import Any

from underpass.address import Address
from underpass.errors import DialError, Failure, LocalProtocolError
from underpass.net.early import EarlyData
from underpass.protocol.frames import Kind, Payload, ResetCode
from underpass.protocol.replay import ACK_SECONDS
from underpass.protocol.session import Session
from underpass.protocol.session_events import (
    CarrierLost,
    CarrierStands,
    SessionClosed,
    SessionDetached,
    SessionEvent,
    StreamOffered,
    StreamOpened,
    StreamReadable,
    StreamRefused,
    StreamWasReset,
    StreamWritable,
)
from underpass.protocol.session_state import SessionState
from underpass.tunnel.feed import SessionFeed
from underpass.tunnel.offer import Offer, OfferAnswers
from underpass.tunnel.pulse import Pulse
from underpass.tunnel.tunnel_stream import TunnelStream

# What a stream that its application has closed still takes from the other end before it is reset,
# as TCP would: enough for what was under way.
DRAIN_BYTES = 1024 * 1024
DRAIN_SECONDS = 30.0

# A timer that goes off so soon looks at everything anyway. Nothing in a session that waits for the
# clock is due sooner than an acknowledgement.
TIMER_SLACK = ACK_SECONDS

CarrierEvent = CarrierStands | CarrierLost | SessionDetached | SessionClosed
"""What whoever keeps the carriers is told."""


class SessionDriver:
    """See the module. `watch` is told what concerns carriers and the session as a whole."""

    def __init__(self, session: Session, watch: Callable[[CarrierEvent], None]) -> None:
        self.session = session
        self.offers: asyncio.Queue[Offer] = asyncio.Queue()
        self._watch = watch
        self._loop = asyncio.get_running_loop()
        self._streams: dict[int, TunnelStream] = {}
        self._opening: dict[int, asyncio.Future[TunnelStream]] = {}
        self._draining: dict[int, tuple[int, asyncio.TimerHandle]] = {}
        self._feeds: dict[int, SessionFeed] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._settling = False
        # Whether every feed has been woken since one last took: it need not be again.
        self._has_woken = False

    @property
    def stream_count(self) -> int:
        """How many streams the application holds."""
        return len(self._streams)

    # --- carriers

    def feed(self, number: int, pulse: Pulse | None = None) -> SessionFeed:
        """The feed of a carrier that the session has begun or attached."""
        feed = self._feeds[number] = SessionFeed(self, number, pulse)
        if self.session.state is SessionState.CLOSED:
            # Nothing but the last word, if nobody has taken that.
            feed.end("the session is closed")
        return feed

    def drop_carrier(self, number: int) -> None:
        """The carrier has ended."""
        if (feed := self._feeds.pop(number, None)) is not None:
            # Requests of it may still wait for something to bring.
            feed.end("the carrier has ended")
        self.session.remove_carrier(number, self._loop.time())
        self.settle()

    def take(self, number: int, limit: int) -> list[bytes]:
        """Records for a carrier."""
        now = self._loop.time()
        # First: who hears of it may send more.
        self._has_woken = False
        records = self.session.data_to_send(number, limit, now)
        self._dispatch()
        if records and self._timer_at > now + TIMER_SLACK:
            self._set_timer()
        return records

    def receive(self, number: int, data: Payload) -> None:
        """Bytes of a carrier."""
        now = self._loop.time()
        self.session.receive_data(number, data, now)
        self._dispatch()
        if self.session.has_output(now):
            self._wake_feeds()
        if self._timer_at > now + TIMER_SLACK:
            self._set_timer()

    def lost(self, records: list[bytes]) -> None:
        """Records that may not have arrived."""
        self.session.lost(records, self._loop.time())
        self.settle()

    def cut(self, number: int) -> None:
        """The last record of a carrier will not be whole."""
        self.session.forget_partial(number)

    def lower_keepalive(self, number: int, seconds: float) -> None:
        """Ask over a carrier at least so often."""
        self.session.lower_keepalive(number, seconds)
        self.settle()

    @property
    def delay(self) -> float:
        """The smoothed round-trip time in seconds."""
        return self.session.streams.delay

    # --- streams, as `TunnelStream` and `Offer` use them

    async def open(
        self, address: Address, kind: Kind = Kind.BYTES, early: EarlyData | None = None
    ) -> TunnelStream:
        """Open a stream through the other end. Raises `DialError` with that end's reason.

        What comes `early` goes with the question. Has no time-out of its own: the other end's dial
        has one, and the session its grace time.
        """
        if self.session.state is SessionState.CLOSED:
            raise DialError(Failure.TUNNEL_DOWN, "the tunnel's session is closed")
        try:
            stream_id = self.session.streams.open(address.host, address.port, kind)
        except LocalProtocolError as error:
            raise DialError(error.failure, error.reason) from error
        opening: asyncio.Future[TunnelStream] = self._loop.create_future()
        self._opening[stream_id] = opening
        if early is not None:
            early.begin(partial(self._send_early, stream_id))
        self.settle()
        try:
            return await opening
        except asyncio.CancelledError:
            self.reset(stream_id)
            raise
        finally:
            self._opening.pop(stream_id, None)
            if early is not None:
                early.stop()

    def _send_early(self, stream_id: int, data: bytes) -> None:
        # It may have been refused or reset before the opener has run.
        if stream_id in self.session.streams:
            self.send(stream_id, data)

    def accept(self, stream_id: int, bound: str) -> None:
        """Accept an offer."""
        self.session.streams.accept(stream_id, bound)
        self.settle()

    def refuse(self, stream_id: int, error: DialError) -> None:
        """Refuse an offer."""
        self._streams.pop(stream_id, None)
        self.session.streams.refuse(stream_id, error.failure, error.details)
        self.settle()

    def send(self, stream_id: int, data: bytes) -> None:
        """Let bytes wait for their turn."""
        self.session.streams.send(stream_id, data)
        self._wake_feeds()

    def is_clogged(self, stream_id: int) -> bool:
        """Whether the sender should wait."""
        return self.session.streams.is_clogged(stream_id)

    def read(self, stream_id: int, limit: int) -> Payload | None:
        """Bytes that have come, ``b""`` at the end, None for nothing yet."""
        streams = self.session.streams
        data = streams.read(stream_id, limit, self._loop.time())
        if streams.outgoing.has_control:
            # More credit for the other end.
            self._wake_feeds()
        return data

    def read_waiting(self, stream_id: int, limit: int) -> tuple[list[Payload], bool]:
        """What has come, in pieces, and whether the end has come after it."""
        streams = self.session.streams
        found = streams.read_waiting(stream_id, limit, self._loop.time())
        if streams.outgoing.windows:
            # More credit for the other end.
            self._wake_feeds()
        return found

    def is_quiet(self, stream_id: int) -> bool:
        """Whether nothing waits to be read and the other end has not ended."""
        return self.session.streams.is_quiet(stream_id)

    def finish(self, stream_id: int) -> None:
        """Send fin after what waits."""
        self.session.streams.finish(stream_id)
        self._wake_feeds()

    def reset(self, stream_id: int) -> None:
        """Reset a stream; nothing more is told of it."""
        self._let_go(stream_id)
        self.session.streams.reset(stream_id)
        self.settle()

    def drain(self, stream_id: int) -> None:
        """The application has closed: read and drop what still comes, within bounds."""
        timer = self._loop.call_later(DRAIN_SECONDS, self.reset, stream_id)
        self._draining[stream_id] = (DRAIN_BYTES, timer)
        self._drop_received(stream_id)

    def _drop_received(self, stream_id: int) -> None:
        left, timer = self._draining[stream_id]
        while data := self.read(stream_id, left):
            left -= len(data)
            if left <= 0:
                self.reset(stream_id)
                return
        if data is None:
            self._draining[stream_id] = (left, timer)
        else:
            self._let_go(stream_id)

    def release(self, stream_id: int) -> None:
        """The application is done with a stream that the other end has ended."""
        self._let_go(stream_id)

    def _let_go(self, stream_id: int) -> TunnelStream | None:
        if (draining := self._draining.pop(stream_id, None)) is not None:
            draining[1].cancel()
        return self._streams.pop(stream_id, None)

    # --- after every call

    def settle(self) -> None:
        """Bring everything up to date with the session."""
        self._dispatch()
        self._wake_feeds()
        self._set_timer()

    def _wake_feeds(self) -> None:
        if self._has_woken:
            return
        self._has_woken = True
        for feed in self._feeds.values():
            feed.wake()

    def _dispatch(self) -> None:
        if self._settling:
            # A handler has called us: the loop below goes on with what that caused.
            return
        self._settling = True
        try:
            while events := self.session.events():
                for event in events:
                    _HANDLERS.get(type(event), SessionDriver._ignore)(self, event)
        finally:
            self._settling = False

    def _set_timer(self) -> None:
        due = self.session.next_timer()
        if due is None or self._timer_at <= due:
            # One that comes too early only looks again.
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = due
        self._timer = self._loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_at = math.inf
        self.session.handle_timer(self._loop.time())
        self.settle()

    def end(self) -> None:
        """Free the timer: the session is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._timer_at = math.inf
        for _, timer in self._draining.values():
            timer.cancel()
        self._draining.clear()

    # --- events

    def _ignore(self, event: SessionEvent) -> None:
        """An event that nobody here needs."""

    def _offered(self, event: StreamOffered) -> None:
        try:
            address = Address.of(event.host, event.port)
        except ValueError:
            self.session.streams.refuse(event.stream, Failure.BAD_TARGET)
            return
        stream = self._streams[event.stream] = TunnelStream(self, event.stream, None)
        answers = OfferAnswers(self.accept, self.refuse)
        self.offers.put_nowait(Offer(stream, address, Kind(event.kind), answers))

    def _opened(self, event: StreamOpened) -> None:
        opening = self._opening.get(event.stream)
        if opening is None or opening.done():
            return
        stream = TunnelStream(self, event.stream, _bound(event.bound))
        self._streams[event.stream] = stream
        # It may be reset before the opener runs, which gets it all the same.
        opening.set_result(stream)

    def _refused(self, event: StreamRefused) -> None:
        opening = self._opening.get(event.stream)
        if opening is not None and not opening.done():
            opening.set_exception(DialError(event.failure, event.details))

    def _readable(self, event: StreamReadable) -> None:
        if event.stream not in self.session.streams:
            # A reset that came with it is told next.
            return
        if event.stream in self._draining:
            self._drop_received(event.stream)
        elif (stream := self._streams.get(event.stream)) is not None:
            stream.readable()

    def _writable(self, event: StreamWritable) -> None:
        if (stream := self._streams.get(event.stream)) is not None:
            stream.writable()

    def _was_reset(self, event: StreamWasReset) -> None:
        opening = self._opening.get(event.stream)
        stream = self._let_go(event.stream)
        if stream is not None:
            stream.was_reset(event.code)
        if opening is not None and not opening.done():
            lost = event.code == ResetCode.SESSION_LOST
            details = "the tunnel's session was lost" if lost else "reset before it was opened"
            opening.set_exception(DialError(Failure.CONNECTION_TERMINATED, details))

    def _carrier_event(self, event: CarrierEvent) -> None:
        if isinstance(event, CarrierLost) and (feed := self._feeds.pop(event.carrier, None)):
            feed.end(event.reason)
        elif isinstance(event, SessionClosed):
            for feed in self._feeds.values():
                feed.end(event.reason)
            self.end()
        self._watch(event)


def _bound(text: str) -> Address | None:
    try:
        address = Address.parse(text)
    except ValueError:
        return None
    return address if address.ip is not None else None


_HANDLERS: dict[type[Any], Callable[[SessionDriver, Any], None]] = {
    StreamOffered: SessionDriver._offered,
    StreamOpened: SessionDriver._opened,
    StreamRefused: SessionDriver._refused,
    StreamReadable: SessionDriver._readable,
    StreamWritable: SessionDriver._writable,
    StreamWasReset: SessionDriver._was_reset,
    CarrierStands: SessionDriver._carrier_event,
    CarrierLost: SessionDriver._carrier_event,
    SessionDetached: SessionDriver._carrier_event,
    SessionClosed: SessionDriver._carrier_event,
}
