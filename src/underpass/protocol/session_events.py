"""What a session tells whoever drives it, in the order it happened."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from underpass.errors import Failure


class StreamOffered(NamedTuple):
    """The other end asks for a stream to `host` and `port`; answer with `accept` or `refuse`."""

    stream: int
    kind: int
    host: str
    port: int


class StreamOpened(NamedTuple):
    """A stream that we asked for stands; `bound` is its address at the far end, or empty."""

    stream: int
    bound: str


class StreamRefused(NamedTuple):
    """A stream that we asked for does not; it is gone."""

    stream: int
    failure: Failure
    details: str


class StreamReadable(NamedTuple):
    """There is something to `read`: bytes, or the end. Told once until all has been read."""

    stream: int


class StreamWritable(NamedTuple):
    """The other side of `is_clogged`: the application may send on."""

    stream: int


class StreamWasReset(NamedTuple):
    """The other end, or the loss of the session, reset the stream; it is gone."""

    stream: int
    code: int


class DatagramReceived(NamedTuple):
    """One datagram of a stream of that kind."""

    stream: int
    data: bytes


class CarrierStands(NamedTuple):
    """The first record has come back over this carrier: it works both ways."""

    carrier: int


class CarrierLost(NamedTuple):
    """This carrier is dead, and what was on it goes out again on others; end its exchanges."""

    carrier: int
    reason: str


class SessionDetached(NamedTuple):
    """No carrier is left; streams wait for another one until the grace time is over."""


class WentAway(NamedTuple):
    """The other end takes no more streams; those of ours above `last` were never looked at."""

    last: int
    code: int
    reason: str


class SessionClosed(NamedTuple):
    """The session is over, with all its streams."""

    code: int
    reason: str


SessionEvent: TypeAlias = (
    StreamOffered
    | StreamOpened
    | StreamRefused
    | StreamReadable
    | StreamWritable
    | StreamWasReset
    | DatagramReceived
    | CarrierStands
    | CarrierLost
    | SessionDetached
    | WentAway
    | SessionClosed
)
