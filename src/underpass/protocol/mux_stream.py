"""One stream of a session: its state, what waits to be sent and what waits to be read.

A session has thousands of these, mostly idle: slots, and no buffer before there is a byte for it.
"""

from __future__ import annotations

from typing import Final

from underpass.errors import LocalProtocolError, RemoteProtocolError
from underpass.protocol.frame_codec import DATA_HEAD
from underpass.protocol.frames import Kind, Payload, Type
from underpass.protocol.reassembly import Pieces, Reassembly
from underpass.protocol.stream_state import (
    FINISHED,
    OVER,
    SENDABLE,
    TRANSITIONS,
    StreamInput,
    StreamState,
    next_state,
)
from underpass.protocol.window import ReceiveWindow

# Waiting bytes from which the application should wait; it is told to go on at a quarter of that.
SEND_HIGH: Final = 256 * 1024
# What may wait in all streams of a session that are clogged, about: with many of them each may have
# less, but no less than a turn of the scheduler. They fill the line together, not each alone.
SEND_POOL: Final = 16 * 1024 * 1024
LEAST_HIGH: Final = 16 * 1024

# Plain numbers and functions: looking them up costs as much as the rest of a small frame.
_DATA: Final = int(Type.DATA)
_DATA_HEAD_BYTES: Final = DATA_HEAD.size
_pack_data: Final = DATA_HEAD.pack


class Backlog:
    """How much may wait in a stream of a session: less, the more of them are clogged."""

    __slots__ = ("_clogged", "high", "low")

    def __init__(self) -> None:
        self._clogged = 0
        self.high = SEND_HIGH
        self.low = SEND_HIGH >> 2

    def count(self, change: int) -> None:
        """So many streams more are clogged, or fewer."""
        self._clogged += change
        share = SEND_POOL // max(self._clogged, 1)
        self.high = max(LEAST_HIGH, min(share, SEND_HIGH))
        self.low = self.high >> 2


class MuxStream:
    """See the module; offsets are bytes from the start of one direction."""

    __slots__ = (
        "_backlog",
        "_chunks",
        "_head",
        "_taken",
        "burst",
        "end_read",
        "fin_at",
        "fin_wanted",
        "id",
        "is_clogged",
        "is_ready",
        "kind",
        "pending",
        "received",
        "send_limit",
        "sent",
        "state",
        "told_readable",
        "window",
        "window_due",
    )

    def __init__(
        self,
        stream_id: int,
        send_limit: int,
        receive_limit: int,
        pieces: Pieces | None = None,
        backlog: Backlog | None = None,
    ) -> None:
        self.id = stream_id
        self.kind = Kind.BYTES
        self.state = StreamState.IDLE
        # Sending: chunks from `_head` on, of the first of which `_taken` bytes are gone.
        self._backlog = backlog if backlog is not None else Backlog()
        self._chunks: list[bytes] = []
        self._head = 0
        self._taken = 0
        self.pending = 0
        self.sent = 0
        self.send_limit = send_limit
        self.fin_wanted = False
        self.is_clogged = False
        # The scheduler's: whether it waits for a turn, and bytes sent since it last had none.
        self.is_ready = False
        self.burst = 0
        # Receiving.
        self.received = Reassembly(pieces if pieces is not None else Pieces())
        self.window = ReceiveWindow(receive_limit)
        self.window_due = False
        self.fin_at: int | None = None
        self.told_readable = False
        # Whether the application has been given the end.
        self.end_read = False

    def __repr__(self) -> str:
        return (
            f"<MuxStream {self.id} {self.state.value}, {self.sent} sent, {self.pending} pending,"
            f" {self.received.end} received>"
        )

    def happened(self, what: StreamInput) -> None:
        """Move on by the table of states. Raises as `next_state`."""
        state = self.state
        # `next_state` finds the same, at the price of a call.
        self.state = TRANSITIONS.get((state, what)) or next_state(state, what)

    # Sending.

    def write(self, data: bytes) -> None:
        """Let `data` wait for its turn. Raises `LocalProtocolError` if nothing may be sent."""
        if self.fin_wanted or self.state not in SENDABLE:
            raise LocalProtocolError(f"send on a stream that is {self.state.value}")
        self._chunks.append(data)
        self.pending += len(data)
        if self.pending > self._backlog.high and not self.is_clogged:
            self.is_clogged = True
            self._backlog.count(1)

    def unclog(self) -> bool:
        """Whether so little waits now that the application may go on; for one that is clogged."""
        if self.pending > self._backlog.low:
            return False
        self.is_clogged = False
        self._backlog.count(-1)
        return True

    def finish(self) -> None:
        """Send fin after all that waits."""
        if self.fin_wanted or self.state not in SENDABLE:
            raise LocalProtocolError(f"fin on a stream that is {self.state.value}")
        self.fin_wanted = True

    @property
    def can_send(self) -> bool:
        """Whether bytes wait that credit covers, or a fin whose turn has come."""
        if self.pending:
            return self.sent < self.send_limit
        return self.fin_wanted

    def take(self, limit: int) -> bytes:
        """Remove and return the next bytes to send, at most `limit` and never beyond the credit."""
        credit = self.send_limit - self.sent
        if limit > credit:
            limit = credit
        data = self._chunks[self._head]
        size = len(data)
        if size == self.pending and size <= limit and not self._taken:
            self._chunks.clear()
            self._head = 0
        else:
            data = self._gather(limit)
            size = len(data)
        self.sent += size
        self.pending -= size
        return data

    def take_all(self, room: int) -> bytes | None:
        """Remove all that waits, where it is what a write mostly is, and return it as a DATA.

        That is one chunk that fits into `room` with its head, and is within the credit; None for
        all else.
        """
        size = self.pending
        offset = self.sent
        end = offset + size
        chunks = self._chunks
        if size > room - _DATA_HEAD_BYTES or end > self.send_limit or len(chunks) != 1:
            return None
        if self._taken or self.is_clogged:
            return None
        self.sent = end
        self.pending = 0
        return _pack_data(_DATA, self.id, offset, size) + chunks.pop()

    def _gather(self, limit: int) -> bytes:
        """Join waiting chunks, or cut one, to at most `limit` bytes."""
        parts: list[bytes] = []
        used = 0
        for chunk in self._chunks[self._head :]:
            part = chunk[self._taken : self._taken + limit] if self._taken else chunk[:limit]
            parts.append(part)
            limit -= len(part)
            if self._taken + len(part) < len(chunk):
                self._taken += len(part)
                break
            self._taken = 0
            used += 1
            if not limit:
                break
        self._drop(used)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _drop(self, count: int) -> None:
        start = self._head
        self._head = start + count
        if self._head == len(self._chunks) or self._head > 64:
            del self._chunks[: self._head]
            self._head = 0
        else:
            # Nothing that is gone is kept: a read of 256 KiB each, they would be 16 MiB a stream.
            self._chunks[start : self._head] = [b""] * count

    def credit(self, limit: int) -> None:
        """The other end lets us send up to `limit`; an older, lower one changes nothing."""
        self.send_limit = max(self.send_limit, limit)

    # Receiving.

    def insert(self, offset: int, data: Payload) -> None:
        """Take in received bytes. Raises `RemoteProtocolError` beyond the credit or the fin."""
        end = offset + len(data)
        window = self.window
        if end > window.limit:
            raise RemoteProtocolError("data beyond the credit")
        if self.fin_at is not None and end > self.fin_at:
            raise RemoteProtocolError("data beyond the end of the stream")
        self.received.insert(offset, data, window.size)

    def finish_received(self, offset: int) -> None:
        """The other end's last byte is before `offset`."""
        if offset > self.window.limit or self.received.has_beyond(offset):
            raise RemoteProtocolError("the end of a stream is before its data or beyond its credit")
        self.fin_at = offset

    @property
    def is_finished(self) -> bool:
        """Whether all bytes up to the other end's fin have come."""
        return self.state in FINISHED and self.fin_at == self.received.end

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to send or to read: the stream can be forgotten."""
        return self.state in OVER or (self.state is StreamState.CLOSED and self.end_read)

    def discard(self) -> None:
        """Drop everything that waits, in both directions."""
        if self.pending:
            self._chunks.clear()
            self._head = self._taken = 0
            self.pending = 0
        self.fin_wanted = False
        if self.is_clogged:
            self.is_clogged = False
            self._backlog.count(-1)
        self.received.clear()
