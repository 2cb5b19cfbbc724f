"""`Session`: one end of a tunnel's session (docs/protocol.md). Both ends are this class.

Three drive it: the carriers (`receive_data`, `data_to_send`), the application (`streams`), and the
clock (`next_timer`, `handle_timer`). After each, take `events`, and let every carrier that has room
ask for `data_to_send`: records are made when a carrier asks, so that nothing waits behind what was
made too early. Time is an argument, in seconds of any steady clock; so are random bytes. What bytes
from a network do wrong never raises: a carrier that alters records is lost, another end that breaks
the protocol ends the session, and events tell.
"""

from __future__ import annotations

from typing import Final

from underpass.errors import LocalProtocolError, RemoteProtocolError
from underpass.protocol.attach import (
    Attach,
    make_attach,
    make_attached,
    parse_attached,
    verify_attach,
    verify_attached,
)
from underpass.protocol.frame_codec import encode_ack, encode_close, encode_goaway, parse_frames
from underpass.protocol.frames import (
    Ack,
    Close,
    CloseCode,
    Datagram,
    Frame,
    GoAway,
    Payload,
    Ping,
    ResetCode,
    Skip,
)
from underpass.protocol.handshake import SessionKeys
from underpass.protocol.record import Opener, Sealer, record_seq
from underpass.protocol.record_maker import RecordMaker
from underpass.protocol.replay import ReceiveLog, SendLog
from underpass.protocol.session_carrier import SessionCarrier, SessionCarriers, Verdict
from underpass.protocol.session_events import (
    CarrierLost,
    CarrierStands,
    SessionClosed,
    SessionDetached,
    SessionEvent,
    WentAway,
)
from underpass.protocol.session_state import DETACHED, SessionInput, SessionState, next_state
from underpass.protocol.session_terms import SessionTerms
from underpass.protocol.session_times import CLOSING_SECONDS, STUCK_SECONDS, SessionTimes
from underpass.protocol.stream_table import StreamTable
from underpass.protocol.streams import STREAM_FRAMES, Streams
from underpass.protocol.window import Pool

# Room for as many ranges as an ACK may have.
LAST_ACK_BYTES: Final = 2048

# Looked at for every record: a member of an enum is looked up more slowly than a global.
_OPEN: Final = SessionState.OPEN
_CLOSED: Final[SessionState] = SessionState.CLOSED
_DRAINING: Final[SessionState] = SessionState.DRAINING


class Session:
    """See the module. `streams` is what the application uses."""

    def __init__(
        self, keys: SessionKeys, terms: SessionTerms, now: float, *, is_client: bool
    ) -> None:
        self.terms = terms
        self.state = SessionState.OPEN
        self._is_client = is_client
        self._attach_key = keys.attach
        self._events: list[SessionEvent] = []
        table = StreamTable(is_client, terms.own, terms.other, Pool(terms.pool))
        self.streams = Streams(table, self._events)
        self._opener = Opener(keys.receive)
        self._sent = SendLog()
        self._received = ReceiveLog()
        self._maker = RecordMaker(
            Sealer(keys.send), self._sent, self._received, self.streams.outgoing
        )
        self._carriers = SessionCarriers(terms.keepalive)
        self._by_number = self._carriers.by_number
        self._times = SessionTimes(now)
        # All below is to arrive: before CLOSE what was sent till the last stream ended, then CLOSE.
        self._until = 0
        # The one record that is still sent once the session is closed.
        self._farewell: bytes | None = None

    def __repr__(self) -> str:
        role = "client" if self._is_client else "server"
        return (
            f"<Session {role} {self.state.value}, {len(self._carriers)} carriers,"
            f" {len(self.streams)} streams, {len(self._sent)} records out>"
        )

    def events(self) -> list[SessionEvent]:
        """Return what has happened since the last call, in order."""
        taken = self._events[:]
        self._events.clear()
        self.streams.datagrams_waiting = 0
        return taken

    # --- carriers

    @property
    def carriers(self) -> tuple[int, ...]:
        """The numbers of the carriers in use."""
        return self._carriers.numbers

    def begin(self, now: float) -> None:
        """Use the carrier of the handshake, number 0."""
        self._add_carrier(self._carriers.next_number(), now)

    def attach(self, nonce: bytes, now: float) -> tuple[int, bytes]:
        """Client: begin another carrier; returns its number and the opening message for it.

        Records may follow at once. `nonce` is 16 fresh random bytes.
        """
        number = self._carriers.next_number()
        carrier = self._add_carrier(number, now)
        carrier.nonce = nonce
        carrier.await_answer(now)
        where = (self.terms.session_id, number, nonce, self._received.next_seq)
        return number, make_attach(self._attach_key, *where)

    def receive_attached(self, number: int, body: bytes, now: float) -> None:
        """Client: take in the body of ATTACHED. Raises `RemoteProtocolError` for a wrong one."""
        attached = parse_attached(body)
        carrier = self._carriers.by_number.get(number)
        if carrier is None or self.state is SessionState.CLOSED:
            return
        if attached.number != number or not verify_attached(
            self._attach_key, attached, carrier.nonce
        ):
            raise RemoteProtocolError("an answer to an attach that is not the server's")
        self._sent.acknowledge(Ack(0, attached.next_seq, ()), now)
        self._heard(carrier, now)

    def accept_attach(self, attach: Attach, now: float) -> bytes:
        """Server: begin a carrier that a client attaches; returns the opening message to answer.

        Raises `RemoteProtocolError`, and has changed nothing, for one that is not proved, has been
        used before, or acknowledges records that were never sent.
        """
        if not verify_attach(self._attach_key, attach):
            raise RemoteProtocolError("an attach that does not prove the session's key")
        if self.state is SessionState.CLOSED or self._carriers.was_used(attach.number):
            raise RemoteProtocolError("an attach that has been used, or to a closed session")
        # It checks before it changes anything.
        self._sent.acknowledge(Ack(0, attach.next_seq, ()), now)
        # Most often another has died, which may not show here yet: what is out on the others is
        # due again at once, and each is asked whether it lives.
        for number in self._carriers.numbers:
            self._sent.carrier_died(number)
        self._repeat_if_skipping(now)
        self.woke(now)
        self._add_carrier(attach.number, now)
        self._times.proved()
        return make_attached(self._attach_key, attach.number, self._received.next_seq, attach.nonce)

    def _add_carrier(self, number: int, now: float) -> SessionCarrier:
        if self.state is SessionState.CLOSED:
            raise LocalProtocolError("the session is closed")
        if (silent := self._carriers.supernumerary) is not None:
            self._lose_carrier(silent, "another carrier took its place", now)
        self._happened(SessionInput.CARRIER_ADDED)
        if self.state is not SessionState.CLOSING:
            self._times.deadline = None
        return self._carriers.add(number, now)

    def remove_carrier(self, number: int, now: float) -> None:
        """This carrier has ended: all that was on it is due again on the others."""
        if not self._carriers.remove(number):
            return
        self._sent.carrier_died(number)
        self._repeat_if_skipping(now)
        if not len(self._carriers):
            self._happened(SessionInput.CARRIERS_GONE)
            if self.state in DETACHED:
                self._times.detached(now, self.terms.grace)
                self._events.append(SessionDetached())

    def _lose_carrier(self, carrier: SessionCarrier, reason: str, now: float) -> None:
        self._events.append(CarrierLost(carrier.number, reason))
        self.remove_carrier(carrier.number, now)

    def lost(self, records: list[bytes], now: float) -> None:
        """These records, of one failed request, may not have arrived: they are due again."""
        self._sent.lost([record_seq(record) for record in records])
        self._repeat_if_skipping(now)

    def _repeat_if_skipping(self, now: float) -> None:
        """Where records that elicit nothing were lost, an acknowledgement was perhaps in them."""
        if self._sent.skips.firsts:
            self._received.repeat(now)

    def forget_partial(self, number: int) -> None:
        """A body that came over this carrier was cut: its last record's rest will not come."""
        if (carrier := self._by_number.get(number)) is not None:
            carrier.splitter.forget()

    def lower_keepalive(self, number: int, seconds: float) -> None:
        """Ask over this carrier at least every `seconds`, as its path needs; the other end too."""
        if (carrier := self._by_number.get(number)) is not None:
            carrier.lower_interval(seconds)
            carrier.ping_wanted = True

    # --- bytes that came

    def receive_data(self, number: int, data: Payload, now: float) -> None:
        """Take in bytes of a carrier, in the order in which the other end gave them to it."""
        carrier = self._by_number.get(number)
        if carrier is None or self.state is _CLOSED:
            return
        received, elicits = self._received, False
        receive_record = self.streams.receive_record
        try:
            for seq, sealed in carrier.splitter.split(data):
                if seq != received.next_seq and not received.is_new(seq):
                    received.repeat(now)
                    continue
                content = self._opener.open(seq, sealed)
                received.add(seq, len(sealed), now)
                if carrier.heard_at != now or not carrier.stands:
                    self._heard(carrier, now)
                try:
                    if receive_record(content) or self._take_in(content, carrier, now):
                        elicits = True
                except RemoteProtocolError as error:
                    # What opened was sealed by the other end: not a box, but that end is broken.
                    self.abort(CloseCode.PROTOCOL, error.reason)
                if self.state is _CLOSED:
                    return
        except RemoteProtocolError as error:
            self._lose_carrier(carrier, error.reason, now)
        finally:
            if elicits:
                received.elicited(now)

    def _heard(self, carrier: SessionCarrier, now: float) -> None:
        carrier.heard(now)
        if not carrier.stands:
            carrier.stands = True
            self._times.proved()
            self._events.append(CarrierStands(carrier.number))

    def _take_in(self, content: bytes, carrier: SessionCarrier, now: float) -> bool:
        """Take in the frames of one record; return whether one elicits an acknowledgement."""
        elicits = False
        for frame in parse_frames(content):
            kind = type(frame)
            receive = STREAM_FRAMES.get(kind)
            if receive is not None:
                receive(self.streams, frame)
                elicits = elicits or kind is not Datagram
                continue
            elicits = self._receive_frame(frame, carrier, now) or elicits
            if self.state is _CLOSED:
                return False
        return elicits

    def _receive_frame(self, frame: Frame, carrier: SessionCarrier, now: float) -> bool:
        """Take in a frame other than DATA; return whether it elicits an acknowledgement."""
        match frame:
            case Ack():
                self._acknowledged(frame, now)
                return False
            case Ping(token, interval):
                carrier.asked(token, interval)
            case Skip():
                self._received.skip(frame.first, frame.last)
            case GoAway():
                self.streams.go_away(frame.last)
                self._events.append(WentAway(*frame))
            case Close():
                self._received.elicited(now)
                farewell = encode_ack(self._received.acknowledge(now, LAST_ACK_BYTES))
                self._end(frame.code, frame.reason, farewell)
            case _:
                # PONG: that it has come is all it says.
                return False
        return True

    def _acknowledged(self, ack: Ack, now: float) -> None:
        sample = self._sent.acknowledge(ack, now)
        if sample is not None:
            self.streams.delay += (sample - self.streams.delay) / 8
        # An older ACK is none of a CLOSE that had no room yet; what is sent after it gets none.
        is_out = not self.streams.outgoing.control
        if self.state is SessionState.CLOSING and is_out and self._sent.has_arrived(self._until):
            self._end(CloseCode.DONE, "closed by this end", None)

    # --- bytes to send

    def has_output(self, now: float) -> bool:
        """Whether `data_to_send` may have something for a carrier: no more than a look."""
        return self.state is not _OPEN or self._maker.has_output(self._by_number.values(), now)

    def data_to_send(self, number: int, limit: int, now: float) -> list[bytes]:
        """Return records for a carrier that has room for `limit` bytes, to be sent in order.

        They are within `limit`, but for a first one that is sent again, as it can't be made anew,
        or holds a long control frame: that may have `MAX_RECORD_BYTES`. Empty where there is none.
        """
        if self.state is _CLOSED:
            farewell, self._farewell = self._farewell, None
            return [farewell] if farewell is not None else []
        self._times.asked_at = now
        carrier = self._by_number.get(number)
        if carrier is None:
            return []
        if self.state is _DRAINING:
            self._close_if_drained(now)
        return self._maker.fill(carrier, limit, now)

    # --- the clock

    def next_timer(self) -> float | None:
        """When `handle_timer` is to be called at the latest; None for never."""
        if self.state is SessionState.CLOSED:
            return None
        checks = [carrier.next_check for carrier in self._carriers]
        return self._times.next(checks, self._received.ack_at, has_records=self._sent.needs_checks)

    def handle_timer(self, now: float) -> None:
        """Do what is due at `now`; afterwards carriers may have something to send."""
        if self.state is SessionState.CLOSED:
            return
        if self._times.handled(now):
            self.woke(now)
        for carrier in list(self._carriers):
            if carrier.check(now) is Verdict.DEAD:
                self._lose_carrier(carrier, "nothing comes over it any more", now)
        if self._times.is_check_due(now):
            self._check_overdue(now)
        if self._times.is_over(now):
            code = CloseCode.DONE if self.state is SessionState.CLOSING else CloseCode.EXPIRED
            self._happened(SessionInput.TIME_OVER)
            self._end(code, "the grace time is over", None)

    def woke(self, now: float) -> None:
        """The clock has stood still, as in sleep: find out soon which carriers still live."""
        for carrier in self._carriers:
            carrier.probe(now)

    def _check_overdue(self, now: float) -> None:
        self._sent.check_overdue(now, self.streams.delay)
        self._repeat_if_skipping(now)
        for number, sent_at in self._sent.waiting().items():
            carrier = self._carriers.by_number.get(number)
            if carrier is not None and now - sent_at > STUCK_SECONDS:
                self._lose_carrier(carrier, "what is sent over it does not arrive", now)

    # --- the end

    def go_away(self, code: CloseCode, reason: str) -> None:
        """Take no more streams, and tell the other end; those there are go on."""
        if self.state is SessionState.CLOSED or self.streams.is_draining:
            return
        self.streams.is_draining = True
        frame = encode_goaway(self.streams.highest_offered, code, reason)
        self.streams.outgoing.control.append(frame)

    def close(self, code: CloseCode = CloseCode.DONE, reason: str = "") -> None:
        """End the session once its streams have ended and everything has been delivered."""
        self.go_away(code, reason)
        self._happened(SessionInput.CLOSE_ASKED)

    def _close_if_drained(self, now: float) -> None:
        if len(self.streams) or self.streams.outgoing.has_control:
            return
        if not self._until:
            self._until = self._sent.next_seq
        # What keepalive sends meanwhile must not put it off, over a long way for ever.
        if not self._sent.has_arrived(self._until):
            return
        self._happened(SessionInput.DRAINED)
        self._times.deadline = now + CLOSING_SECONDS
        self.woke(now)  # A carrier that is dead unnoticed must not keep CLOSE.
        self._until = self._sent.next_seq + 1
        self.streams.outgoing.control.append(encode_close(CloseCode.DONE, ""))

    def abort(self, code: CloseCode, reason: str) -> None:
        """End the session at once; its streams are reset, and the other end is told if it can."""
        if self.state is not SessionState.CLOSED:
            self._end(code, reason, encode_close(code, reason))

    def _end(self, code: int, reason: str, farewell: bytes | None) -> None:
        self._happened(SessionInput.ENDED)
        self.streams.end_all(ResetCode.SESSION_LOST)
        self._times.deadline = None
        self._farewell = self._maker.farewell(farewell) if farewell else None
        self._events.append(SessionClosed(code, reason))

    def _happened(self, what: SessionInput) -> None:
        self.state = next_state(self.state, what)
