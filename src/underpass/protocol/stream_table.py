"""Which streams a session has, and which ids have been used: the books of `Streams`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from underpass.errors import Failure, LocalProtocolError, RemoteProtocolError
from underpass.protocol.mux_stream import Backlog, MuxStream
from underpass.protocol.ranges import Ranges
from underpass.protocol.reassembly import Pieces
from underpass.protocol.window import Pool

MAX_STREAM_ID: Final = (1 << 32) - 1
# Ids of the other end that were left out: each is in a record on its way, and no more can be.
MAX_ID_GAPS: Final = 16_384


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """What one end grants the other: streams open at once, and the first bytes of each."""

    streams: int = 1024
    initial_window: int = 32 * 1024


class StreamTable:
    """Streams by id. A client's ids are odd, a server's even, each in order and never twice."""

    __slots__ = (
        "_backlog",
        "_next_id",
        "_other",
        "_own",
        "_parity",
        "_pieces",
        "_seen",
        "by_id",
        "ours",
        "pool",
        "theirs",
    )

    def __init__(self, is_client: bool, own: StreamLimits, other: StreamLimits, pool: Pool) -> None:
        self._own = own
        self._other = other
        # To look up, not to change.
        self.by_id: dict[int, MuxStream] = {}
        self._parity = 1 if is_client else 0
        self._next_id = 1 if is_client else 2
        # Ids of the other end that have been seen, halved: mostly one range.
        self._seen = Ranges()
        self._pieces = Pieces()
        self._backlog = Backlog()
        self.pool = pool
        # How many are open that we, and that the other end asked for.
        self.ours = 0
        self.theirs = 0

    def __len__(self) -> int:
        return len(self.by_id)

    def __iter__(self) -> Iterator[MuxStream]:
        return iter(list(self.by_id.values()))

    def get(self, stream_id: int) -> MuxStream | None:
        """The stream, or None when it is over or never was."""
        return self.by_id.get(stream_id)

    def known(self, stream_id: int) -> MuxStream:
        """The stream. Raises `LocalProtocolError` when it is over or never was."""
        stream = self.by_id.get(stream_id)
        if stream is None:
            raise LocalProtocolError(f"stream {stream_id} is over, or never was")
        return stream

    def is_ours(self, stream_id: int) -> bool:
        """Whether our end opens streams with such an id."""
        return stream_id & 1 == self._parity

    @property
    def is_crowded(self) -> bool:
        """Whether the other end has opened more streams than it may."""
        return self.theirs > self._own.streams

    def open(self) -> MuxStream:
        """Add a stream of ours. Raises `LocalProtocolError` (CONNECTION_LIMIT) at the bounds."""
        if self.ours >= self._other.streams or self._next_id > MAX_STREAM_ID:
            raise LocalProtocolError("as many streams as may be", Failure.CONNECTION_LIMIT)
        self.ours += 1
        self._next_id += 2
        return self._add(self._next_id - 2)

    def answered(self, stream_id: int) -> MuxStream | None:
        """A stream of ours that the other end answers; None when it is over.

        Raises `RemoteProtocolError` for one that never was.
        """
        if not stream_id or not self.is_ours(stream_id) or stream_id >= self._next_id:
            raise RemoteProtocolError("answers a stream that was never opened")
        return self.by_id.get(stream_id)

    def check_theirs(self, stream_id: int) -> None:
        """Raise `RemoteProtocolError` unless the other end may open this id."""
        if not stream_id or self.is_ours(stream_id):
            raise RemoteProtocolError("opens a stream with an id that is not its own")

    def find(self, stream_id: int) -> MuxStream | None:
        """The stream of a frame that came; None when it is over.

        Added if it is one of the other end's whose OPEN is still on its way. Raises
        `RemoteProtocolError` for an id that can't be.
        """
        stream = self.by_id.get(stream_id)
        if stream is not None:
            return stream
        if self.is_ours(stream_id):
            return self.answered(stream_id)
        self.check_theirs(stream_id)
        if stream_id >> 1 in self._seen:
            return None
        # One that may be open is refused at its OPEN; so many without any are an attack.
        if self.theirs > 2 * self._own.streams:
            raise RemoteProtocolError("opens streams without end")
        if len(self._seen) > MAX_ID_GAPS:
            raise RemoteProtocolError("leaves out more streams than can be on their way")
        self._seen.add(stream_id >> 1, stream_id >> 1)
        self.theirs += 1
        return self._add(stream_id)

    def _add(self, stream_id: int) -> MuxStream:
        stream = MuxStream(
            stream_id,
            self._other.initial_window,
            self._own.initial_window,
            self._pieces,
            self._backlog,
        )
        self.by_id[stream_id] = stream
        return stream

    def forget(self, stream: MuxStream) -> None:
        """The stream is over: nothing of it is kept but that it was."""
        if self.by_id.pop(stream.id, None) is None:
            return
        stream.discard()
        stream.window.release(self.pool)
        if stream.id & 1 == self._parity:
            self.ours -= 1
        else:
            self.theirs -= 1
