"""`Streams`: all streams of one session, from frames to what an application does with them.

Both ends are this class. It knows nothing of records and carriers: `STREAM_FRAMES` says what takes
in a frame, `outgoing` has the frames to send, and the application's calls stand between.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from underpass.errors import Failure, LocalProtocolError, RemoteProtocolError
from underpass.protocol.frame_codec import (
    DATA_HEAD,
    VIEW_BYTES,
    encode_open,
    encode_opened,
    encode_refused,
    encode_reset,
)
from underpass.protocol.frames import (
    Data,
    Datagram,
    Fin,
    Kind,
    Open,
    Opened,
    Payload,
    Refused,
    Reset,
    ResetCode,
    Type,
    Window,
)
from underpass.protocol.mux_stream import MuxStream
from underpass.protocol.outgoing import Outgoing
from underpass.protocol.session_events import (
    DatagramReceived,
    SessionEvent,
    StreamOffered,
    StreamOpened,
    StreamReadable,
    StreamRefused,
    StreamWasReset,
)
from underpass.protocol.stream_state import (
    FLOWING,
    NOT_ACCEPTED,
    NOT_OFFERED,
    OPENING,
    StreamInput,
    StreamState,
)
from underpass.protocol.stream_table import StreamTable

# Beyond so many that wait for the application, datagrams are dropped.
MAX_DATAGRAM_EVENTS: Final = 256

# Plain numbers and functions: looking them up costs as much as the rest of a small frame. `_new`
# makes a named tuple without a Python call in between; for the events that come most.
_DATA: Final = int(Type.DATA)
_DATA_HEAD_BYTES: Final = DATA_HEAD.size
_unpack_data: Final = DATA_HEAD.unpack_from
_OPEN: Final = StreamState.OPEN
_RECEIVE_DATA: Final = StreamInput.RECEIVE_DATA
_RECEIVE_FIN: Final = StreamInput.RECEIVE_FIN
_RECEIVE_OPEN: Final = StreamInput.RECEIVE_OPEN
_RECEIVE_OPENED: Final = StreamInput.RECEIVE_OPENED
_RECEIVE_REFUSED: Final = StreamInput.RECEIVE_REFUSED
_RECEIVE_RESET: Final = StreamInput.RECEIVE_RESET
_SEND_OPEN: Final = StreamInput.SEND_OPEN
_SEND_OPENED: Final = StreamInput.SEND_OPENED
_SEND_REFUSED: Final = StreamInput.SEND_REFUSED
_SEND_RESET: Final = StreamInput.SEND_RESET
_KINDS: Final = {int(kind): kind for kind in Kind}
_new: Final = tuple.__new__


class Streams:
    """See the module. Offsets and sizes are in bytes, `now` in seconds of any steady clock."""

    def __init__(self, table: StreamTable, events: list[SessionEvent]) -> None:
        self._table = table
        self._by_id = table.by_id
        self._events = events
        # Datagrams that have come and were not taken by `Session.events` yet.
        self.datagrams_waiting = 0
        # The last id of ours that the other end looks at, once it has gone away.
        self._last_allowed: int | None = None
        self.outgoing = Outgoing(table, events)
        self.highest_offered = 0
        self.is_draining = False
        # Smoothed round-trip time in seconds, kept current by the session.
        self.delay = 0.1

    def __contains__(self, stream_id: int) -> bool:
        """Whether there is such a stream, and it is not over."""
        return stream_id in self._by_id

    def __len__(self) -> int:
        return len(self._table)

    # --- what the application does

    def open(self, host: str, port: int, kind: Kind = Kind.BYTES) -> int:
        """Ask for a stream and return its id; bytes may be sent on it at once.

        Raises `LocalProtocolError` where no more can be opened: DRAINING after either end went
        away, CONNECTION_LIMIT at the other end's limit or when the ids are used up.
        """
        if self.is_draining or self._last_allowed is not None:
            raise LocalProtocolError("this session opens no more streams", Failure.DRAINING)
        if not host.isascii():
            raise LocalProtocolError("a host that is not ASCII", Failure.BAD_TARGET)
        stream = self._table.open()
        stream.kind = kind
        stream.happened(_SEND_OPEN)
        self.outgoing.control.append(encode_open(stream.id, kind, host, port))
        return stream.id

    def accept(self, stream_id: int, bound: str = "") -> None:
        """Say that a stream that was offered stands, at `bound` (``host:port``)."""
        stream = self._by_id.get(stream_id) or self._table.known(stream_id)
        stream.happened(_SEND_OPENED)
        self.outgoing.control.append(encode_opened(stream_id, bound))
        if stream.received.size or stream.fin_at is not None:
            self._tell_readable(stream)

    def refuse(self, stream_id: int, failure: Failure, details: str = "") -> None:
        """Say that a stream that was offered does not stand, and why."""
        stream = self._table.known(stream_id)
        stream.happened(_SEND_REFUSED)
        self.outgoing.control.append(encode_refused(stream_id, failure, details))
        self._table.forget(stream)

    def send(self, stream_id: int, data: bytes) -> None:
        """Let bytes wait for their turn. Raises `LocalProtocolError` after fin or before accept."""
        stream = self._by_id.get(stream_id) or self._table.known(stream_id)
        if not data:
            return
        stream.write(data)
        if not stream.is_ready and stream.sent < stream.send_limit:
            self.outgoing.scheduler.add(stream)

    def finish(self, stream_id: int) -> None:
        """Send fin after what waits; the other direction goes on."""
        stream = self._by_id.get(stream_id) or self._table.known(stream_id)
        stream.finish()
        if not stream.is_ready and stream.can_send:
            self.outgoing.scheduler.add(stream)

    def reset(self, stream_id: int, code: ResetCode = ResetCode.RESET) -> None:
        """End both directions at once; what waits is lost. No effect on a stream that is gone."""
        stream = self._table.get(stream_id)
        if stream is None:
            return
        stream.happened(_SEND_RESET)
        self.outgoing.control.append(encode_reset(stream_id, code))
        self._table.forget(stream)

    def send_datagram(self, stream_id: int, data: bytes, now: float) -> None:
        """Send a datagram, or drop it rather than late."""
        if self._table.known(stream_id).kind is not Kind.DATAGRAMS:
            raise LocalProtocolError("a datagram on a stream of bytes")
        self.outgoing.datagrams.add(stream_id, data, now)

    def is_clogged(self, stream_id: int) -> bool:
        """Whether much waits to be sent: the application should wait for `StreamWritable`."""
        stream = self._table.get(stream_id)
        return stream is not None and stream.is_clogged

    def is_quiet(self, stream_id: int) -> bool:
        """Whether nothing waits to be read and the other end has not ended the stream."""
        stream = self._table.get(stream_id)
        return stream is not None and stream.fin_at is None and not stream.received.size

    def read(self, stream_id: int, limit: int, now: float) -> Payload | None:
        """Return up to `limit` bytes, ``b""`` at the end, None while there is nothing.

        Reading is what gives the other end credit.
        """
        stream = self._by_id.get(stream_id) or self._table.known(stream_id)
        if stream.state in NOT_ACCEPTED:
            raise LocalProtocolError("read from a stream that was not accepted")
        if stream.received.size:
            data = stream.received.read(limit)
            # After the end there is nothing more to grant.
            if stream.fin_at is None and stream.window.consume(
                len(data), now, self.delay, self._table.pool
            ):
                self.outgoing.want_window(stream)
            return data
        if not stream.is_finished:
            stream.told_readable = False
            return None
        stream.end_read = True
        if stream.is_done:
            self._table.forget(stream)
        return b""

    def read_waiting(self, stream_id: int, limit: int, now: float) -> tuple[list[Payload], bool]:
        """Return what waits, in pieces, and whether the end has come after it.

        What `read` would return one by one, up to the piece that reaches `limit` bytes. Where they
        are fewer, all is read, and `StreamReadable` tells of what comes next.
        """
        stream = self._by_id.get(stream_id) or self._table.known(stream_id)
        if stream.state in NOT_ACCEPTED:
            raise LocalProtocolError("read from a stream that was not accepted")
        received, pieces, size = stream.received, [], 0
        while received.size and size < limit:
            piece = received.read(limit)
            pieces.append(piece)
            size += len(piece)
        grants = size and stream.fin_at is None
        if grants and stream.window.consume(size, now, self.delay, self._table.pool):
            self.outgoing.want_window(stream)
        if received.size:
            return pieces, False
        if not stream.is_finished:
            stream.told_readable = size >= limit
            return pieces, False
        stream.end_read = True
        if stream.is_done:
            self._table.forget(stream)
        return pieces, True

    # --- frames that came

    def receive_record(self, content: bytes) -> bool:
        """Take in a record that is one DATA of a stream that stands, as nearly all are.

        What `parse_frames` and `receive_data` would do, in a third of the steps. False, with
        nothing done, for any other; raises as `receive_data`.
        """
        if content[0] != _DATA or len(content) <= _DATA_HEAD_BYTES:
            return False
        _, stream_id, offset, size = _unpack_data(content)
        stream = self._by_id.get(stream_id)
        if size != len(content) - _DATA_HEAD_BYTES or stream is None:
            return False
        if stream.state not in FLOWING:
            return False
        data = content if size < VIEW_BYTES else memoryview(content)
        stream.insert(offset, data[_DATA_HEAD_BYTES:])
        if not stream.told_readable and stream.received.size:
            stream.told_readable = True
            self._events.append(_new(StreamReadable, (stream_id,)))
        return True

    def receive_data(self, frame: Data) -> None:
        """Take in DATA."""
        stream_id, offset, data = frame
        stream = self._by_id.get(stream_id) or self._table.find(stream_id)
        if stream is None:
            return
        if stream.state is not _OPEN:
            if stream.state in OPENING:
                self._stands(stream)
            stream.happened(_RECEIVE_DATA)
        stream.insert(offset, data)
        if not stream.told_readable and stream.received.size and stream.state not in NOT_ACCEPTED:
            stream.told_readable = True
            self._events.append(StreamReadable(stream.id))

    def _receive_open(self, frame: Open) -> None:
        stream_id, kind, host, port = frame
        self._table.check_theirs(stream_id)
        self.outgoing.check_asked()
        stream = self._table.find(stream_id)
        if stream is None:
            # Its reset has overtaken it.
            return
        stream.happened(_RECEIVE_OPEN)
        if stream_id > self.highest_offered:
            self.highest_offered = stream_id
        if self.is_draining:
            self.refuse(stream_id, Failure.DRAINING)
        elif self._table.is_crowded:
            self.refuse(stream_id, Failure.CONNECTION_LIMIT, "too many streams")
        elif kind not in _KINDS:
            self.refuse(stream_id, Failure.NOT_IMPLEMENTED, "a kind of stream not known here")
        else:
            stream.kind = _KINDS[kind]
            self._events.append(_new(StreamOffered, (stream_id, stream.kind, host, port)))

    def _receive_opened(self, frame: Opened) -> None:
        stream = self._table.answered(frame.stream)
        if stream is None:
            return
        was_opening = stream.state in OPENING
        stream.happened(_RECEIVE_OPENED)
        if was_opening:
            self._events.append(_new(StreamOpened, frame))

    def _receive_refused(self, frame: Refused) -> None:
        stream = self._table.answered(frame.stream)
        if stream is None:
            return
        stream.happened(_RECEIVE_REFUSED)
        self._table.forget(stream)
        self._events.append(StreamRefused(*frame))

    def _receive_fin(self, frame: Fin) -> None:
        stream_id, offset = frame
        stream = self._by_id.get(stream_id) or self._table.find(stream_id)
        if stream is None:
            return
        if stream.state in OPENING:
            self._stands(stream)
        stream.happened(_RECEIVE_FIN)
        stream.finish_received(offset)
        self._tell_readable(stream)

    def _receive_reset(self, frame: Reset) -> None:
        stream = self._table.find(frame.stream)
        if stream is None:
            return
        was_offered = stream.state not in NOT_OFFERED
        stream.happened(_RECEIVE_RESET)
        self._table.forget(stream)
        if was_offered:
            self._events.append(StreamWasReset(frame.stream, frame.code))

    def _receive_window(self, frame: Window) -> None:
        stream = self._table.find(frame.stream)
        if stream is None:
            return
        stream.credit(frame.limit)
        if not stream.is_ready and stream.can_send:
            self.outgoing.scheduler.resume(stream)

    def _receive_datagram(self, frame: Datagram) -> None:
        stream = self._table.get(frame.stream)
        if stream is None or stream.kind is not Kind.DATAGRAMS:
            # Overtaken by the end of its stream, or not asked for: dropping one is always right.
            return
        if self.datagrams_waiting < MAX_DATAGRAM_EVENTS:
            self.datagrams_waiting += 1
            self._events.append(DatagramReceived(*frame))

    def go_away(self, last: int) -> None:
        """The other end looks at no stream of ours above `last`: those are refused.

        Raises `RemoteProtocolError` if it said so before.
        """
        if self._last_allowed is not None:
            raise RemoteProtocolError("goes away twice")
        self._last_allowed = last
        for stream in self._table:
            if self._table.is_ours(stream.id) and stream.id > last:
                self._table.forget(stream)
                details = "the other end is going away"
                self._events.append(StreamRefused(stream.id, Failure.DRAINING, details))

    def end_all(self, code: ResetCode) -> None:
        """The session is lost: every stream is reset."""
        for stream in self._table:
            was_offered = stream.state not in NOT_OFFERED
            self._table.forget(stream)
            if was_offered:
                self._events.append(StreamWasReset(stream.id, code))
        self.outgoing.clear()

    def _stands(self, stream: MuxStream) -> None:
        """Data or fin from the far end stands for its OPENED, which has not come."""
        self._events.append(StreamOpened(stream.id, ""))

    def _tell_readable(self, stream: MuxStream) -> None:
        if stream.told_readable or stream.state in NOT_ACCEPTED:
            return
        if stream.received.size or stream.is_finished:
            stream.told_readable = True
            self._events.append(_new(StreamReadable, (stream.id,)))


# What takes in each frame of a stream; each raises `RemoteProtocolError` for what is not allowed.
STREAM_FRAMES: Final[dict[type[Any], Callable[[Streams, Any], None]]] = {
    Data: Streams.receive_data,
    Open: Streams._receive_open,
    Opened: Streams._receive_opened,
    Refused: Streams._receive_refused,
    Fin: Streams._receive_fin,
    Reset: Streams._receive_reset,
    Window: Streams._receive_window,
    Datagram: Streams._receive_datagram,
}
