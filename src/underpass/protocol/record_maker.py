"""`RecordMaker`: decides what goes into the next record of a carrier, and seals it.

In this order: a record that is due again, as it is; else a new one with the acknowledgement, what
concerns the carrier itself, control frames, and data. Nothing is made before a carrier asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from underpass.protocol.frame_codec import encode_ack, encode_ping, encode_pong, encode_skip
from underpass.protocol.frames import MAX_FRAMES_BYTES
from underpass.protocol.outgoing import Outgoing
from underpass.protocol.record import MAX_RECORD_BYTES, OVERHEAD_BYTES, Sealer
from underpass.protocol.replay import MAX_SILENT, ReceiveLog, SendLog
from underpass.protocol.session_carrier import SessionCarrier

# A record smaller than this is not begun: a carrier with so little room will soon have more. The
# frames about the carrier itself fit into it.
LEAST_ROOM: Final = 64
_PING_BYTES: Final = 9
_PONG_BYTES: Final = 5
_SKIP_BYTES: Final = 17
# What is left for data where a record has room for little else.
_LARGEST_TOKEN: Final = 0xFFFFFFFF


class RecordMaker:
    """See the module. One end has one."""

    __slots__ = (
        "_anything",
        "_before_data",
        "_outgoing",
        "_received",
        "_sealer",
        "_sent",
        "_token",
    )

    def __init__(
        self, sealer: Sealer, sent: SendLog, received: ReceiveLog, outgoing: Outgoing
    ) -> None:
        self._sealer = sealer
        self._sent = sent
        self._received = received
        self._outgoing = outgoing
        self._token = 0
        # What goes before data, and all there is; each is filled and emptied in place, so that one
        # look is enough.
        self._before_data = (
            sent.due,
            sent.skips.firsts,
            outgoing.control,
            outgoing.windows,
            outgoing.datagrams.waiting,
        )
        self._anything = (*self._before_data, outgoing.scheduler.brisk, outgoing.scheduler.bulk)

    def has_output(self, carriers: Iterable[SessionCarrier], now: float) -> bool:
        """Whether there may be a record to make for one of `carriers`."""
        scheduler, ack_at = self._outgoing.scheduler, self._received.ack_at
        if scheduler.brisk or scheduler.bulk or any(self._before_data):
            return True
        if ack_at is not None and ack_at <= now:
            return True
        return any(carrier.has_output for carrier in carriers)

    def fill(self, carrier: SessionCarrier, limit: int, now: float) -> list[bytes]:
        """Return all records there are for `carrier`, while `limit` bytes last.

        A first one that is due again may be longer.
        """
        record = self._only_chunk(carrier, limit, now)
        if record is not None:
            # Nothing else waits.
            return [record]
        records: list[bytes] = []
        while record := self.next(carrier, limit, now, is_first=not records):
            records.append(record)
            limit -= len(record)
        return records

    def _only_chunk(self, carrier: SessionCarrier, limit: int, now: float) -> bytes | None:
        """Return the record where all that waits is one chunk of one stream; None for all else.

        What `next` and `_make` would do, in a third of the steps: nearly every message goes this
        way.
        """
        sent, outgoing = self._sent, self._outgoing
        received = self._received
        if (
            not outgoing.scheduler.brisk
            or any(self._before_data)
            or not sent.has_data_room
            or sent.silent >= MAX_SILENT
            or (received.records and received.rides_along(now))
            or carrier.ping_wanted
            or carrier.pong_token is not None
        ):
            return None
        room = limit - OVERHEAD_BYTES
        if room < LEAST_ROOM:
            return None
        frame = outgoing.only_chunk(room if room < MAX_FRAMES_BYTES else MAX_FRAMES_BYTES)
        if frame is None:
            return None
        record = self._sealer.seal(frame)
        sent.add(record, True, carrier.number, now)
        return record

    def next(
        self, carrier: SessionCarrier, limit: int, now: float, *, is_first: bool
    ) -> bytes | None:
        """Return the next record for `carrier`, None when there is none or `limit` is too small.

        A record that is due again may be longer than `limit` if it `is_first`.
        """
        # Asked for every record and once more: mostly one look.
        concerns_carrier = carrier.ping_wanted or carrier.pong_token is not None
        if not any(self._anything) and not concerns_carrier and not self._received.is_ack_due(now):
            return None
        sent, outgoing = self._sent, self._outgoing
        if sent.due:
            again = sent.take_due(MAX_RECORD_BYTES if is_first else limit, carrier.number, now)
            if again is not None or sent.due:
                return again
        scheduler = outgoing.scheduler
        has_data = sent.has_data_room and (scheduler.brisk or scheduler.bulk)
        has_control = concerns_carrier or any(self._before_data)
        if not (has_data or has_control or self._received.is_ack_due(now)):
            return None
        room = limit - OVERHEAD_BYTES
        if room < LEAST_ROOM:
            return None
        if not (has_data or sent.has_room):
            return self._ack_alone(carrier, room, now)
        if is_first and outgoing.control:
            # A long frame must not wait for room that a small carrier never has.
            room = max(room, 2 * len(outgoing.control[0]) + LEAST_ROOM)
        if room > MAX_FRAMES_BYTES:
            room = MAX_FRAMES_BYTES
        return self._make(carrier, room, now, has_control=has_control, has_data=bool(has_data))

    def _ack_alone(self, carrier: SessionCarrier, room: int, now: float) -> bytes | None:
        """Acknowledge although the log is full: two full logs would wait for each other."""
        if not self._received.is_ack_due(now) or not self._sent.has_ack_room:
            return None
        record = self._sealer.seal(encode_ack(self._received.acknowledge(now, room)))
        self._sent.add(record, False, carrier.number, now)
        return record

    def farewell(self, frames: bytes) -> bytes:
        """Seal the last record of all, which nobody will send again."""
        return self._sealer.seal(frames)

    def _make(
        self, carrier: SessionCarrier, room: int, now: float, *, has_control: bool, has_data: bool
    ) -> bytes | None:
        parts: list[bytes] = []
        elicits = False
        if self._sent.silent >= MAX_SILENT:
            # Else the other end would never have a reason to acknowledge these.
            parts.append(encode_ping(0, 0))
            room -= _PING_BYTES
            elicits = True
        if self._received.rides_along(now):
            # Half of a small record: the rest of many ranges follows in the next.
            parts.append(encode_ack(self._received.acknowledge(now, room // 2)))
            room -= len(parts[-1])
        if has_control:
            room, more = self._fill_control(parts, carrier, room, now)
            elicits = elicits or more
        if has_data:
            chunk = self._outgoing.only_chunk(room)
            if chunk is not None:
                parts.append(chunk)
                elicits = True
            elif self._outgoing.fill_data(parts, room):
                elicits = True
        if not parts:
            return None
        record = self._sealer.seal(b"".join(parts))
        self._sent.add(record, elicits, carrier.number, now)
        return record

    def _fill_control(
        self, parts: list[bytes], carrier: SessionCarrier, room: int, now: float
    ) -> tuple[int, bool]:
        elicits = False
        if carrier.ping_wanted and room >= _PING_BYTES:
            carrier.ping_wanted = False
            self._token = self._token % _LARGEST_TOKEN + 1
            parts.append(encode_ping(self._token, round(carrier.interval * 1000)))
            room -= _PING_BYTES
            elicits = True
        if carrier.pong_token is not None and room >= _PONG_BYTES:
            parts.append(encode_pong(carrier.pong_token))
            carrier.pong_token = None
            room -= _PONG_BYTES
        while self._sent.skips.firsts and room >= _SKIP_BYTES:
            parts.append(encode_skip(*self._sent.skips.pop_first()))
            room -= _SKIP_BYTES
            elicits = True
        room, more = self._outgoing.fill_control(parts, room, now)
        return room, elicits or more
