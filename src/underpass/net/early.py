"""`EarlyData`: what a client says before its destination has answered, sent with the question.

Over a long way that saves a round trip: the destination's answer comes with the word that it was
reached. Nothing is lost or sent twice: what was not taken early stays in the client's stream.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from underpass.address import Address
from underpass.errors import StreamError
from underpass.net.stream import Dial, Sink, Stream, Tap
from underpass.net.transport import TransportStream
from underpass.protocol.frames import Payload

# Taken before the answer at most, and one read more: what a request is, not what an upload is.
EARLY_BYTES = 64 * 1024


class EarlyData(Sink):
    """See the module. Of one client's stream, for one dial; `sent` counts bytes."""

    __slots__ = ("_client", "_offering", "_send", "_tap", "sent")

    def __init__(self, client: Stream) -> None:
        self._client = client
        self._send: Callable[[bytes], None] | None = None
        self._tap: Tap | None = None
        # Who most often says nothing early is only asked to.
        self._offering: TransportStream | None = None
        self.sent = 0

    def begin(self, send: Callable[[bytes], None]) -> None:
        """Give `send` what has come and what comes, until `stop`."""
        client = self._client
        self._send = send
        if isinstance(client, TransportStream) and client.is_quiet:
            self._offering = client
            client.offer_next(self._take)
        elif client.can_pour:
            self._tap = client.pour(self)
            self._tap.go_on()

    def _take(self, data: bytes) -> bool:
        if not data or self._offering is None:
            return False
        self.came(data)
        if self.sent < EARLY_BYTES:
            self._offering.offer_next(self._take)
        return True

    def stop(self) -> None:
        """Leave the rest to `receive`."""
        if self._offering is not None:
            self._offering.offer_next(None)
            self._offering = None
        if self._tap is not None:
            self._tap.stop()
            self._tap = None

    # What the client's stream tells.

    def came(self, data: Payload) -> None:
        self.sent += len(data)
        if self._send is not None:
            self._send(bytes(data))
        if self.sent >= EARLY_BYTES and self._tap is not None:
            self._tap.hold()

    def ended(self) -> None:
        """Who relays is told it again."""

    def lost(self, error: StreamError | None) -> None:
        """The same."""

    def ready(self) -> None:
        """Nothing is sent to the client yet."""


EarlyDial: TypeAlias = Callable[[Address, EarlyData], Awaitable[Stream]]
"""A `Dial` that may take what comes early."""


def without_early(dial: Dial) -> EarlyDial:
    """The same dial, which leaves all to the relay."""

    async def open_late(address: Address, early: EarlyData) -> Stream:
        return await dial(address)

    return open_late
