"""Two ways to talk to a session: a `Pair` of them over perfect carriers, and a `Dialogue` with one.

In a `Dialogue` the other end is spoken by hand, frame by frame, so that it may do what no session
of ours does.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from underpass.protocol.attach import parse_attach
from underpass.protocol.frame_codec import parse_frames
from underpass.protocol.frames import Data, Frame, Kind
from underpass.protocol.handshake import SessionKeys
from underpass.protocol.opening import OpeningReader
from underpass.protocol.record import Opener, RecordSplitter, Sealer
from underpass.protocol.session import Session
from underpass.protocol.session_events import CarrierLost, SessionEvent, StreamOffered
from underpass.protocol.session_terms import SessionTerms
from underpass.protocol.stream_table import StreamLimits

# A clock that began long ago, so that nothing works only because it begins at 0.
START = 5000.0
ROOM = 1 << 20
SESSION_ID = b"a1" + b"\x55" * 16
CLIENT_KEY = b"\x01" * 32
SERVER_KEY = b"\x02" * 32
ATTACH_KEY = b"\x03" * 32
CLIENT_KEYS = SessionKeys(CLIENT_KEY, SERVER_KEY, ATTACH_KEY)
SERVER_KEYS = SessionKeys(SERVER_KEY, CLIENT_KEY, ATTACH_KEY)
# More rounds than any dialogue here has.
MAX_ROUNDS = 10_000


def make_session(terms: SessionTerms, *, is_client: bool, now: float = START) -> Session:
    """One end with its first carrier."""
    session = Session(CLIENT_KEYS if is_client else SERVER_KEYS, terms, now, is_client=is_client)
    session.begin(now)
    return session


def body_of(message: bytes) -> bytes:
    """The body of the one opening message that `message` is."""
    found = OpeningReader().receive_data(message)
    assert found is not None
    opening, rest = found
    assert not rest
    return opening.body


def lost(events: Iterable[SessionEvent]) -> list[int]:
    """The carriers that these tell of as lost."""
    return [event.carrier for event in events if isinstance(event, CarrierLost)]


class Pair:
    """A client and a server; what one gives to a carrier comes to the other at once."""

    def __init__(
        self, limits: StreamLimits | None = None, *, grace: float = 600.0, keepalive: float = 30.0
    ) -> None:
        limits = limits or StreamLimits()
        terms = SessionTerms(SESSION_ID, limits, limits, grace=grace, keepalive=keepalive)
        self.now = START
        self.client = make_session(terms, is_client=True)
        self.server = make_session(terms, is_client=False)
        self._nonces = itertools.count(1)

    def other(self, end: Session) -> Session:
        return self.server if end is self.client else self.client

    def carry(self, sender: Session, carrier: int = 0, limit: int = ROOM) -> list[bytes]:
        """Bring what `sender` has for one carrier to the other end; return it."""
        records = [bytes(one) for one in sender.data_to_send(carrier, limit, self.now)]
        for record in records:
            self.other(sender).receive_data(carrier, record, self.now)
        return records

    def pump(self) -> int:
        """Carry both ways until nothing moves; return how many bytes did."""
        total = 0
        for _ in range(MAX_ROUNDS):
            moved = 0
            for end in (self.client, self.server):
                for carrier in end.carriers or (0,):
                    moved += sum(map(len, self.carry(end, carrier)))
            total += moved
            if not moved:
                return total
        raise AssertionError("two sessions that never stop talking")

    def wait(self, seconds: float) -> None:
        """Let time pass, with each end called whenever it wants to be."""
        end = self.now + seconds
        self.pump()
        for _ in range(MAX_ROUNDS):
            timers = [self.client.next_timer(), self.server.next_timer()]
            due = min((at for at in timers if at is not None), default=end)
            self.now = max(self.now, min(due, end))
            self.client.handle_timer(self.now)
            self.server.handle_timer(self.now)
            self.pump()
            if self.now >= end:
                return
        raise AssertionError("timers that never come to rest")

    def open(self, opener: Session | None = None, kind: Kind = Kind.BYTES) -> int:
        """A stream that stands at both ends, all events of which have been taken."""
        opener = opener or self.client
        stream = opener.streams.open("example.com", 443, kind)
        self.pump()
        self.other(opener).streams.accept(stream)
        self.pump()
        self.client.events()
        self.server.events()
        return stream

    def attach(self) -> int:
        """Another carrier, at both ends."""
        nonce = next(self._nonces).to_bytes(16, "big")
        number, message = self.client.attach(nonce, self.now)
        answer = self.server.accept_attach(parse_attach(body_of(message)), self.now)
        self.client.receive_attached(number, body_of(answer), self.now)
        return number

    def drop(self, carrier: int) -> None:
        """A carrier that both ends know is gone."""
        self.client.remove_carrier(carrier, self.now)
        self.server.remove_carrier(carrier, self.now)


def read_all(session: Session, stream: int, now: float = START) -> bytes:
    """All that can be read of a stream now; an end that follows counts as read."""
    parts = []
    while data := session.streams.read(stream, ROOM, now):
        parts.append(bytes(data))
    return b"".join(parts)


class Dialogue:
    """One session, a server unless told otherwise, and its other end spoken by hand."""

    def __init__(self, terms: SessionTerms | None = None, *, is_client: bool = False) -> None:
        self.now = START
        self.session = make_session(terms or SessionTerms(SESSION_ID), is_client=is_client)
        self.sealer = Sealer(SERVER_KEY if is_client else CLIENT_KEY)
        self._opener = Opener(CLIENT_KEY if is_client else SERVER_KEY)
        self._splitter = RecordSplitter()

    def seal(self, *frames: bytes) -> bytes:
        """A record, not said yet."""
        return bytes(self.sealer.seal(b"".join(frames)))

    def say(self, *frames: bytes, carrier: int = 0) -> list[SessionEvent]:
        """Bring one record with `frames`; return what the session tells about it."""
        self.session.receive_data(carrier, self.seal(*frames), self.now)
        return self.session.events()

    def records(self, carrier: int = 0, limit: int = ROOM) -> list[list[Frame]]:
        """What the session says on a carrier now: the frames of each record."""
        sent = self.session.data_to_send(carrier, limit, self.now)
        return [
            parse_frames(self._opener.open(seq, sealed))
            for record in sent
            for seq, sealed in self._splitter.split(bytes(record))
        ]

    def heard(self, carrier: int = 0) -> list[Frame]:
        """The frames of `records`, one after the other."""
        return list(itertools.chain.from_iterable(self.records(carrier)))


def data_of(frames: Iterable[Frame]) -> bytes:
    """The bytes of all DATA frames, joined."""
    return b"".join(bytes(frame.data) for frame in frames if isinstance(frame, Data))


def offered(events: Iterable[SessionEvent]) -> list[int]:
    """The ids of the streams that events offer."""
    return [event.stream for event in events if isinstance(event, StreamOffered)]
