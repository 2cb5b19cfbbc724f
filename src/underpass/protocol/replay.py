"""What makes a session outlive its carriers: records kept until acknowledged, taken in once.

- `SendLog` keeps every sealed record, knows which carrier each is on, and says which are due again.
- `ReceiveLog` knows which numbers have come, and what to acknowledge and when.
"""

from __future__ import annotations

import heapq
from itertools import islice, repeat
from typing import Final, TypeAlias

from underpass.errors import RemoteProtocolError
from underpass.protocol.frames import DELAY_UNIT, MAX_ACK_RANGES, MAX_DELAY_UNITS, Ack
from underpass.protocol.ranges import Ranges

# What may await acknowledgement; 32 MiB fill 1.3 Gbit/s at 200 ms.
MAX_RECORDS: Final = 8192
MAX_NUMBERS: Final = 16_384
MAX_BYTES: Final = 32 * 1024 * 1024
# Data stops at seven eighths of each, so that what is not data is never stuck behind it.
_DATA_RECORDS: Final = MAX_RECORDS * 7 // 8
_DATA_NUMBERS: Final = MAX_NUMBERS * 7 // 8
# Numbers beyond these for records that hold an ACK alone, which are not kept.
ACK_NUMBERS: Final = 4096
_DATA_BYTES: Final = MAX_BYTES * 7 // 8

# Numbers ahead of the lowest missing one: twice what a sender may have out, as the other end may
# not know yet what has come.
MAX_AHEAD: Final = 2 * MAX_NUMBERS

# When a record that elicits it is acknowledged at the latest, or after so much.
ACK_SECONDS: Final = 0.025
ACK_RECORDS: Final = 128
# Each costs a request of its own on a carrier that has only those.
ACK_BYTES: Final = 1024 * 1024
# An ACK rides along in a record that is made anyway, but not again so soon unless for so many: at
# full speed one in each record would cost both ends more than the records do. Far below where the
# sender of records that elicit nothing begins to ask (`MAX_SILENT`).
RIDE_SECONDS: Final = 0.005
RIDE_RECORDS: Final = 32

# The size of an ACK: its fixed part, and each of its ranges.
ACK_HEAD_BYTES: Final = 12
ACK_RANGE_BYTES: Final = 16

# Records that elicit nothing before one that does: the other end must acknowledge some time.
MAX_SILENT: Final = 64

# A record waits this long at least, and so many round trips, before it counts as lost where others
# of its carrier have arrived.
MIN_OVERDUE_SECONDS: Final = 1.0
OVERDUE_ROUND_TRIPS: Final = 3


# One record out: its place in the order of sending, its carrier, when it was sent, itself, and
# whether it was sent again. The record is None where it elicits nothing: it is never sent again. A
# plain tuple, as making an object of each costs more than all else that is done with it.
LogEntry: TypeAlias = tuple[int, int, float, bytes | None, bool]
# The carrier of a record that is due again.
_NO_CARRIER: Final = -1


class SendLog:
    """Records out and not acknowledged, in the order of their numbers."""

    __slots__ = (
        "_acked",
        "_acked_order",
        "_entries",
        "_full_at",
        "_oldest",
        "_order",
        "bytes",
        "due",
        "has_data_room",
        "next_seq",
        "silent",
        "skips",
    )

    def __init__(self) -> None:
        self._entries: dict[int, LogEntry] = {}
        # All below is acknowledged; ranges above that are.
        self._oldest = 0
        self._acked = Ranges()
        # Numbers of records to be sent again, as a heap: the lowest first, as it frees most.
        self.due: list[int] = []
        self._order = 0
        # Of each carrier, the latest of its records that is acknowledged, in order of sending.
        self._acked_order: dict[int, int] = {}
        self.bytes = 0
        self.next_seq = 0
        # Records since the last that elicits an acknowledgement.
        self.silent = 0
        # Whether a record with data may be added.
        self.has_data_room = True
        # The number at which to count again whether there is.
        self._full_at = 0
        # Numbers that will not come any more, to be told by SKIP.
        self.skips = Ranges()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def is_empty(self) -> bool:
        """Whether everything that matters has been acknowledged.

        Records that elicit nothing do not: the last of those may wait long for an ACK.
        """
        return not self.bytes and not self.skips.firsts

    @property
    def needs_checks(self) -> bool:
        """Whether `check_overdue` may find any, now or later, if nothing more is sent.

        Not where all that is out elicits nothing, and none after it has been acknowledged: an idle
        session has nothing to look after.
        """
        return not self.is_empty or len(self._acked) > 0

    def has_arrived(self, seq: int) -> bool:
        """Whether everything that matters and has a number below `seq` has been acknowledged."""
        return self._oldest >= seq or self.is_empty

    @property
    def has_ack_room(self) -> bool:
        """Whether a record that holds an ACK alone may be added, although there is no room."""
        return self.next_seq - self._oldest < MAX_NUMBERS + ACK_NUMBERS

    @property
    def has_room(self) -> bool:
        """Whether a record that is not data may be added."""
        return len(self._entries) < MAX_RECORDS and self.next_seq - self._oldest < MAX_NUMBERS

    def add(self, record: bytes, elicits: bool, carrier: int, now: float) -> None:
        """Keep the record with the next number, just sent on `carrier`."""
        seq = self.next_seq
        self.next_seq = seq + 1
        order = self._order = self._order + 1
        if elicits:
            self.silent = 0
            self.bytes += len(record)
            self._entries[seq] = (order, carrier, now, record, False)
        else:
            self.silent += 1
            self._entries[seq] = (order, carrier, now, None, False)
        if seq >= self._full_at or self.bytes >= _DATA_BYTES:
            self._look_for_room()

    def acknowledge(self, ack: Ack, now: float) -> float | None:
        """Forget what `ack` names; return a round-trip time in seconds, if it tells one.

        Raises `RemoteProtocolError` for records that were never sent.
        """
        highest = ack.ranges[-1][1] if ack.ranges else ack.next_seq - 1
        if highest >= self.next_seq:
            raise RemoteProtocolError("acknowledges what was never sent")
        newest: LogEntry | None = self._entries.get(highest)
        if ack.next_seq > self._oldest:
            self._forget(self._oldest, ack.next_seq)
            self._oldest = ack.next_seq
        for first, last in ack.ranges:
            # One below has been overtaken by another ACK.
            if last >= self._oldest:
                for start, end in self._acked.add(max(first, self._oldest), last):
                    self._forget(start, end + 1)
        self._advance()
        self._look_for_room()
        if newest is None:
            return None
        _, _, sent_at, _, again = newest
        return None if again else max(0.0, now - sent_at - ack.delay * DELAY_UNIT)

    def _forget(self, start: int, end: int) -> None:
        """Drop what there is of the numbers from `start` up to but not including `end`."""
        # No loop of our own: this is done for every record.
        gone = list(filter(None, map(self._entries.pop, range(start, end), repeat(None))))
        if not gone:
            return
        # In the order of sending, so that in `marks` each carrier's latest stays.
        gone.sort()
        orders, carriers, _, records, _ = zip(*gone, strict=True)
        self.bytes -= sum(map(len, filter(None, records)))
        marks = dict(zip(carriers, orders, strict=True))
        marks.pop(_NO_CARRIER, None)
        for carrier, order in marks.items():
            if order > self._acked_order.get(carrier, 0):
                self._acked_order[carrier] = order

    def _advance(self) -> None:
        """Drop ranges that the lowest missing number has passed, and join one it touches."""
        while (first := self._acked.first) is not None and first <= self._oldest:
            _, last = self._acked.pop_first()
            self._oldest = max(self._oldest, last + 1)

    def _look_for_room(self) -> None:
        # Each record added takes one of both, so that until there it is enough to count bytes.
        left = min(
            _DATA_RECORDS - len(self._entries), _DATA_NUMBERS - (self.next_seq - self._oldest)
        )
        self._full_at = self.next_seq + left - 1
        self.has_data_room = self.bytes < _DATA_BYTES and left > 0

    def carrier_died(self, carrier: int) -> None:
        """All that was on `carrier` is due again."""
        self._acked_order.pop(carrier, None)
        self._lose([seq for seq, entry in self._entries.items() if entry[1] == carrier])

    def lost(self, seqs: list[int]) -> None:
        """These records did not arrive, as far as is known: they are due again."""
        self._lose([seq for seq in seqs if seq in self._entries])

    def check_overdue(self, now: float, delay: float) -> None:
        """Take for lost what waits too long while later records of its carrier have arrived."""
        before = now - max(MIN_OVERDUE_SECONDS, OVERDUE_ROUND_TRIPS * delay)
        acked = self._acked_order
        self._lose(
            [
                seq
                for seq, (order, carrier, sent_at, _, _) in self._entries.items()
                if sent_at <= before and order < acked.get(carrier, 0)
            ]
        )

    def _lose(self, seqs: list[int]) -> None:
        for seq in seqs:
            order, carrier, sent_at, record, again = self._entries[seq]
            if record is None:
                del self._entries[seq]
                self.skips.add(seq, seq)
            elif carrier != _NO_CARRIER:
                self._entries[seq] = (order, _NO_CARRIER, sent_at, record, again)
                heapq.heappush(self.due, seq)

    def take_due(self, limit: int, carrier: int, now: float) -> bytes | None:
        """Return a record to send again on `carrier`; None if none is due or it is too long."""
        while self.due:
            seq = self.due[0]
            entry = self._entries.get(seq)
            record = entry[3] if entry is not None else None
            if record is not None and len(record) > limit:
                return None
            heapq.heappop(self.due)
            if record is not None:
                self._order += 1
                self._entries[seq] = (self._order, carrier, now, record, True)
                return record
        return None

    def waiting(self) -> dict[int, float]:
        """Since when the oldest record on each carrier waits, of those that elicit an ACK."""
        oldest: dict[int, float] = {}
        for _, carrier, sent_at, record, _ in self._entries.values():
            if record is not None and carrier != _NO_CARRIER:
                oldest[carrier] = min(oldest.get(carrier, sent_at), sent_at)
        return oldest


class ReceiveLog:
    """Which numbers have come. `next_seq`: every lower one has."""

    __slots__ = ("_ahead", "_bytes", "_newest_at", "_ride_at", "ack_at", "next_seq", "records")

    def __init__(self) -> None:
        self.next_seq = 0
        self._ahead = Ranges()
        # What has come since the last ACK: records and bytes.
        self.records = 0
        self._bytes = 0
        # When an ACK is due at the latest; None while nothing elicits one.
        self.ack_at: float | None = None
        self._newest_at = 0.0
        # From when on another ACK may ride along.
        self._ride_at = 0.0

    @property
    def gaps(self) -> int:
        """How many ranges have come above the lowest missing number."""
        return len(self._ahead)

    def is_new(self, seq: int) -> bool:
        """Whether `seq` has not come before. Raises `RemoteProtocolError` beyond the window."""
        if seq >= self.next_seq + MAX_AHEAD:
            raise RemoteProtocolError("a record far ahead of its window")
        return seq == self.next_seq or (seq > self.next_seq and seq not in self._ahead)

    def add(self, seq: int, size: int, now: float) -> None:
        """`seq` has come, in a record of `size` bytes, and has opened."""
        self.records += 1
        self._bytes += size
        self._newest_at = now
        if seq == self.next_seq and not self._ahead.firsts:
            self.next_seq = seq + 1
        else:
            self.skip(seq, seq)

    def skip(self, first: int, last: int) -> None:
        """These numbers count as received. Raises `RemoteProtocolError` beyond the window."""
        if last >= self.next_seq + MAX_AHEAD:
            raise RemoteProtocolError("skips records far ahead")
        if last < self.next_seq:
            return
        self._ahead.add(max(first, self.next_seq), last)
        while self._ahead.first == self.next_seq:
            self.next_seq = self._ahead.pop_first()[1] + 1

    def is_ack_due(self, now: float) -> bool:
        """Whether an ACK is to go even in a record of its own."""
        return self.ack_at is not None and self.ack_at <= now

    def rides_along(self, now: float) -> bool:
        """Whether a record that is made anyway is to hold an ACK."""
        if self.records >= RIDE_RECORDS:
            return True
        return self.ack_at is not None and (now >= self._ride_at or now >= self.ack_at)

    def elicited(self, now: float) -> None:
        """What has come is to be acknowledged soon, or at once when it is much."""
        if self.records >= ACK_RECORDS or self._bytes >= ACK_BYTES:
            self.ack_at = now
        elif self.ack_at is None:
            self.ack_at = now + ACK_SECONDS

    def repeat(self, now: float) -> None:
        """Acknowledge soon, though nothing new has come: an ACK was perhaps lost."""
        self.records += 1
        self.elicited(now)

    def acknowledge(self, now: float, room: int) -> Ack:
        """The ACK to send now, with as many ranges as fit into `room` bytes."""
        self.records = 0
        self._bytes = 0
        self.ack_at = None
        self._ride_at = now + RIDE_SECONDS
        most = max(0, min(MAX_ACK_RANGES, (room - ACK_HEAD_BYTES) // ACK_RANGE_BYTES))
        ranges = tuple(islice(self._ahead, most)) if self._ahead.firsts else ()
        delay = min(round((now - self._newest_at) / DELAY_UNIT), MAX_DELAY_UNITS)
        return Ack(max(0, delay), self.next_seq, ranges)
