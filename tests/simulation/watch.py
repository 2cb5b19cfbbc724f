"""What must hold at every moment for one end: bounds of memory, and each number sealed once."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

from tests.simulation.world import SimulationError
from underpass.protocol.frame_codec import parse_frames
from underpass.protocol.outgoing import MAX_CONTROL
from underpass.protocol.reassembly import MAX_SEGMENTS
from underpass.protocol.record import HEAD_BYTES, MAX_RECORD_BYTES, Opener, record_seq
from underpass.protocol.replay import MAX_AHEAD, MAX_BYTES, MAX_RECORDS
from underpass.protocol.session_carrier import MAX_CARRIERS

if TYPE_CHECKING:
    from tests.simulation.end import End

# Looks at every stream cost more than all else: one look in so many.
FULL_LOOK = 40
# Records that a box keeps to repeat them.
MAX_SAMPLES = 40


class Watch:
    """See the module. It reads the session's books, and changes nothing."""

    def __init__(self, end: End, send_key: bytes) -> None:
        self._end = end
        self._opener = Opener(send_key)
        self._looks = 0
        # What was sealed under each number, as a checksum.
        self._sealed: dict[int, int] = {}
        self.samples: list[bytes] = []
        self.records = 0
        self.bytes = 0
        self.repeated = 0

    def _expect(self, holds: bool, what: str) -> None:
        if not holds:
            raise SimulationError(f"{self._end.name}: {what}; {self._end.session!r}")

    def sent(self, number: int, records: list[bytes]) -> None:
        """Records go out on a carrier."""
        for record in records:
            seq = record_seq(record)
            self.records += 1
            self.bytes += len(record)
            digest = crc32(record)
            known = self._sealed.setdefault(seq, digest)
            self._expect(known == digest, f"record {seq} was sealed twice")
            if seq < len(self._sealed) - 1:
                self.repeated += 1
            self._expect(seq < len(self._sealed), f"record {seq} comes too early")
            self._keep(bytes(record))
            if self._end.world.is_traced:
                self._trace(number, seq, record)

    def _keep(self, record: bytes) -> None:
        rng = self._end.world.rng
        if len(self.samples) < MAX_SAMPLES:
            self.samples.append(record)
        elif rng.random() < 0.2:
            self.samples[rng.randrange(MAX_SAMPLES)] = record

    def _trace(self, number: int, seq: int, record: bytes) -> None:
        frames = ", ".join(map(_brief, parse_frames(self._opener.open(seq, record[HEAD_BYTES:]))))
        text = f"carrier {number}: record {seq}, {len(record)} bytes: {frames}"
        self._end.world.note(text, ">" if self._end.name == "client" else "<")

    def look(self) -> None:
        """Look at the totals always, at every stream now and then."""
        session = self._end.session
        sent = session._sent
        self._expect(len(sent) <= MAX_RECORDS, f"{len(sent)} records wait for acknowledgement")
        self._expect(sent.bytes <= MAX_BYTES + MAX_RECORD_BYTES, f"{sent.bytes} bytes wait")
        self._expect(len(session.carriers) <= MAX_CARRIERS, "too many carriers")
        self._looks += 1
        if self._looks % FULL_LOOK == 0:
            self.look_well()

    def look_well(self) -> None:
        """Look at everything."""
        session = self._end.session
        outgoing = session.streams.outgoing
        self._expect(len(outgoing.control) <= MAX_CONTROL, "too many control frames wait")
        self._expect(session._received.gaps <= MAX_AHEAD // 2, "too many gaps")
        self._expect(len(session._sent.skips) <= MAX_RECORDS, "too many numbers are to be skipped")
        self._look_at_streams()

    def _look_at_streams(self) -> None:
        table = self._end.session.streams._table
        taken = ours = 0
        for stream in table:
            window, received = stream.window, stream.received
            ours += table.is_ours(stream.id)
            taken += window.size - self._end.session.terms.own.initial_window
            granted = window.limit - window.consumed
            self._expect(received.size <= granted, f"{stream!r} holds more than was granted")
            self._expect(granted <= window.size, f"{stream!r} was granted more than its window")
            self._expect(
                received._ahead_bytes <= window.size, f"{stream!r} holds too much out of order"
            )
            self._expect(len(received._ahead or ()) <= MAX_SEGMENTS, f"{stream!r} has many pieces")
        self._expect(ours == table.ours, f"{ours} streams are ours, not {table.ours}")
        self._expect(len(table) - ours == table.theirs, f"theirs are not {table.theirs}")
        pool = table.pool
        self._expect(taken == pool.size - pool.left, f"{taken} of the pool, {pool.left} left")

    def nothing_left(self) -> None:
        """At the end, nothing of any stream is left."""
        self.look_well()
        session = self._end.session
        self._expect(len(session.streams) == 0, "streams are left")
        pool = session.streams._table.pool
        self._expect(pool.left == pool.size, f"{pool.size - pool.left} bytes of credit are lost")
        self._expect(not session.events(), "something happened after the end")


def _brief(frame: object) -> str:
    name = type(frame).__name__.upper()
    fields = [
        f"{field.nbytes} bytes"
        if isinstance(field, memoryview)
        else f"{len(field)} bytes"
        if isinstance(field, bytes)
        else str(field)[:60]
        for field in (frame if isinstance(frame, tuple) else ())
    ]
    return f"{name}({' '.join(fields)})"
