"""`Outgoing`: what a session's streams have to send, and in which order it goes.

Control frames first, so that they never wait behind data; then credit, then datagrams, then the
streams in turn.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from underpass.errors import RemoteProtocolError
from underpass.protocol.datagram import DatagramQueue
from underpass.protocol.frame_codec import DATA_HEAD, encode_fin, encode_window
from underpass.protocol.frames import Type
from underpass.protocol.mux_stream import MuxStream
from underpass.protocol.scheduler import QUANTUM, Scheduler
from underpass.protocol.session_events import SessionEvent, StreamWritable
from underpass.protocol.stream_state import OVER, StreamInput
from underpass.protocol.stream_table import StreamTable

# Control frames that wait. A stream has at most a few, so only a flood that reads no answers comes
# near it.
MAX_CONTROL: Final = 16_384

# A plain number: looking an enum's member up costs as much as the rest of a small frame.
_DATA: Final = int(Type.DATA)
_SEND_FIN: Final = StreamInput.SEND_FIN
_DATA_HEAD_BYTES: Final = DATA_HEAD.size
_pack_data: Final = DATA_HEAD.pack
_FIN_BYTES: Final = 13
_WINDOW_BYTES: Final = 13
# Where a record holds something already, a DATA smaller than this is not worth its head.
_LEAST_DATA: Final = 512


class Outgoing:
    """See the module. `control` takes frames, encoded, whoever makes them."""

    __slots__ = ("_events", "_table", "control", "datagrams", "scheduler", "windows")

    def __init__(self, table: StreamTable, events: list[SessionEvent]) -> None:
        self._table = table
        self._events = events
        self.windows: deque[MuxStream] = deque()
        self.control: deque[bytes] = deque()
        self.datagrams = DatagramQueue()
        self.scheduler = Scheduler()

    @property
    def has_control(self) -> bool:
        """Whether frames wait that are not of the scheduler."""
        return bool(self.control or self.windows or self.datagrams.waiting)

    def check_asked(self) -> None:
        """Raise `RemoteProtocolError` if the other end asks more than it takes answers to."""
        if len(self.control) >= MAX_CONTROL:
            raise RemoteProtocolError("asks for more than it takes answers to")

    def want_window(self, stream: MuxStream) -> None:
        """Tell the other end the credit of `stream`, as it is when its turn comes."""
        if not stream.window_due:
            stream.window_due = True
            self.windows.append(stream)

    def clear(self) -> None:
        """Drop everything: the session is over."""
        self.control.clear()
        self.windows.clear()
        self.datagrams.clear()
        self.scheduler.clear()

    def fill_control(self, parts: list[bytes], room: int, now: float) -> tuple[int, bool]:
        """Append control frames that fit into `room` bytes.

        Returns the room left, and whether one of them elicits an acknowledgement.
        """
        control = self.control
        begun = len(parts)
        while control and len(control[0]) <= room:
            frame = control.popleft()
            room -= len(frame)
            parts.append(frame)
        while self.windows and room >= _WINDOW_BYTES:
            stream = self.windows.popleft()
            stream.window_due = False
            if stream.state not in OVER and stream.fin_at is None:
                parts.append(encode_window(stream.id, stream.window.limit))
                room -= _WINDOW_BYTES
        elicits = len(parts) > begun
        while self.datagrams.waiting and (datagram := self.datagrams.take(room, now)) is not None:
            parts.append(datagram)
            room -= len(datagram)
        return room, elicits

    def only_chunk(self, room: int) -> bytes | None:
        """Return the DATA of the one stream that has something to send, where it is one chunk.

        What `fill_data` would do, in a third of the steps: nearly every message goes this way, and
        the fin of a stream behind its last.
        None, with nothing taken, where more waits than this chunk or it does not fit into `room`.
        """
        brisk = self.scheduler.brisk
        if len(brisk) != 1 or self.scheduler.bulk:
            return None
        stream = brisk[0]
        frame = stream.take_all(room - _FIN_BYTES if stream.fin_wanted else room)
        if frame is None:
            return None
        brisk.clear()
        stream.is_ready = False
        return frame + self._take_fin(stream) if stream.fin_wanted else frame

    def fill_data(self, parts: list[bytes], room: int) -> bool:
        """Append DATA and FIN of the streams whose turn it is; return whether there was any."""
        scheduler = self.scheduler
        begun = len(parts)
        least = _DATA_HEAD_BYTES + (_LEAST_DATA if parts else 1)
        while room >= least and (stream := scheduler.next()) is not None:
            sent = 0
            if stream.pending and stream.sent < stream.send_limit:
                size = room - _DATA_HEAD_BYTES
                if size > QUANTUM and scheduler.must_share(stream):
                    size = QUANTUM
                offset = stream.sent
                data = stream.take(size)
                sent = len(data)
                parts.append(_pack_data(_DATA, stream.id, offset, sent))
                parts.append(data)
                room -= _DATA_HEAD_BYTES + sent
                if stream.is_clogged and stream.unclog():
                    self._events.append(StreamWritable(stream.id))
            if stream.fin_wanted and not stream.pending and room >= _FIN_BYTES:
                parts.append(self._take_fin(stream))
                room -= _FIN_BYTES
            if stream.sent < stream.send_limit if stream.pending else stream.fin_wanted:
                scheduler.again(stream, sent)
            else:
                scheduler.pause(stream, sent)
            least = _DATA_HEAD_BYTES + _LEAST_DATA
        return len(parts) > begun

    def _take_fin(self, stream: MuxStream) -> bytes:
        stream.fin_wanted = False
        stream.happened(_SEND_FIN)
        # The end may have been read before.
        if stream.end_read and stream.is_done:
            self._table.forget(stream)
        return encode_fin(stream.id, stream.sent)
