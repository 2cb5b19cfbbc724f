"""`Stream`: the two-way byte stream that every part hands to the next, and its contract."""

from __future__ import annotations

import abc
from collections.abc import Awaitable, Callable
from typing import ClassVar, Protocol, TypeAlias

from underpass.address import Address
from underpass.errors import StreamError
from underpass.protocol.frames import Payload

# What one `receive` returns at most. 64 KiB keeps the cost per byte of a step in Python low.
RECEIVE_SIZE = 64 * 1024
# What a stream is given at once, unless it has a slow line before it: two records of a session.
PORTION = 128 * 1024


class Sink(Protocol):
    """What a stream that pours tells (`Stream.pour`). Nothing here waits, and nothing raises."""

    def came(self, data: Payload) -> None:
        """Bytes have come, at least one."""

    def ended(self) -> None:
        """The other end has ended its direction: nothing more comes."""

    def lost(self, error: StreamError | None) -> None:
        """The stream is gone: `error` says how, None after an end in order."""

    def ready(self) -> None:
        """The stream was full, and takes more again."""


class Tap(Protocol):
    """What is done with a stream that pours: no call waits, and none raises."""

    __slots__ = ()

    def put(self, *parts: Payload) -> None:
        """Send these, one after the other, however much waits already; see `is_full`.

        Without effect once the direction has ended or the stream is lost.
        """

    @property
    def is_full(self) -> bool:
        """Whether so much waits that nothing should be put before `Sink.ready` is called."""

    def hold(self) -> None:
        """Let nothing more come than what is on its way already: one read at most."""

    def go_on(self) -> None:
        """Begin to pour, or go on after `hold`."""

    def end_sending(self) -> None:
        """As `Stream.send_eof`."""

    def stop(self) -> None:
        """Tell the sink nothing more: what comes waits for `receive` again."""


class Stream(abc.ABC):
    """A two-way byte stream with independent half-close. A TCP connection is one.

    The contract, the same for every kind (the conformance suite holds each to it):

    - Each direction ends on its own: `receive` returning ``b""`` (the other end's FIN) says
      nothing about sending; `send_eof` says nothing about receiving.
    - A reset stays a reset: after one, `receive` and `send` raise `StreamReset`, never a clean end.
      Bytes that arrived before it may be lost, as with TCP. (A unix socket alone can't tell the
      other end of a reset; there it looks like an end.)
    - `send` returns when the bytes are taken, not when they have arrived; it waits while the
      buffer is above its bound (back-pressure), so a stalled reader costs a bounded buffer.
    - At most one task receives and one task sends at a time.
    - Cancelling `receive` loses no byte; cancelling `send` may leave part of `data` sent, and the
      only thing to do with the stream then is `abort`.
    - After `close` or `abort`, every call but those two raises `StreamClosed`.
    """

    __slots__ = ()

    can_pour: ClassVar[bool] = False
    """Whether `pour` can be called."""

    @abc.abstractmethod
    async def receive(self, limit: int = RECEIVE_SIZE) -> bytes:
        """Return 1 to `limit` bytes as soon as there are any; ``b""`` once the other end ended.

        Raises `StreamReset`, `StreamTimeout` (keepalive gave up) or `StreamClosed`.
        """

    @abc.abstractmethod
    def unread(self, data: bytes) -> None:
        """Put `data` back in front of what the next `receive` returns."""

    @abc.abstractmethod
    async def send(self, data: bytes) -> None:
        """Send all of `data`. Raises as `receive` does, and `StreamClosed` after `send_eof`."""

    def send_at_once(self, data: bytes) -> bool:
        """Send all of `data` where that needs no waiting; else send nothing and return False.

        Raises as `send` does. A kind that can't tell always says False.
        """
        return False

    @abc.abstractmethod
    async def send_eof(self) -> None:
        """End the sending direction after all bytes sent before. A second call does nothing.

        On a stream that cannot half-close (TLS), this ends the stream.
        """

    @abc.abstractmethod
    async def close(self) -> None:
        """End both directions in order: deliver what was sent, then free everything.

        What still arrives is read and dropped for a short, bounded time, so that it cannot turn
        the end into a reset that destroys bytes under way. Never raises; safe to call twice.
        """

    def close_soon(self) -> None:
        """Begin to close without waiting: what was sent is still delivered, nothing more is read.

        For a stream on which nothing is under way. Never raises.
        """
        self.abort()

    @abc.abstractmethod
    def abort(self) -> None:
        """Reset the stream and free everything at once. Never raises; safe to call twice."""

    def keep_shallow(self) -> None:  # noqa: B027 - most kinds have nothing to do
        """Take only little more than is on its way, so that what comes later need not wait long.

        For what is sent in pieces of different urgency. No effect on a kind that can't.
        """

    @property
    def portion(self) -> int:
        """How much to send at once, so that what is urgent need not wait behind that."""
        return PORTION

    def pour(self, sink: Sink) -> Tap:
        """Hand all that comes to `sink` as it comes, from the tap's first `go_on`, without a task.

        `receive` and `send` are not to be called until the tap is stopped; `close` and `abort` are.
        """
        raise NotImplementedError

    @property
    def is_quiet(self) -> bool:
        """True while nothing waits to be received and neither end has ended the stream.

        Only a quiet stream may be kept for another exchange; a kind that cannot tell says False.
        """
        return False

    @property
    def is_lost(self) -> bool:
        """True once the stream is known to be gone: nothing can be sent on it any more.

        For who waits for something else meanwhile. A kind that cannot tell says False.
        """
        return False

    @property
    @abc.abstractmethod
    def peer(self) -> Address | None:
        """The literal address of the other end, where it has one (a unix socket has none)."""


Dial: TypeAlias = Callable[[Address], Awaitable[Stream]]
"""`async (Address) -> Stream`: the one seam between the parts.

Raises `DialError` (with a `Failure`) when no stream could be opened, and nothing else.
"""
