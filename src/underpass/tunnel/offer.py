"""`Offer`: a stream that the other end asks for, until it is accepted or refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from underpass.address import Address
from underpass.errors import DialError, StreamReset
from underpass.protocol.frames import Kind
from underpass.tunnel.tunnel_stream import TunnelStream


@dataclass(frozen=True, slots=True)
class OfferAnswers:
    """How an offer is answered: by the stream's id, with where it stands or why it does not."""

    accept: Callable[[int, str], None]
    refuse: Callable[[int, DialError], None]


class Offer:
    """Answer once, with `accept` or `refuse`. `address` is what was asked for."""

    def __init__(
        self, stream: TunnelStream, address: Address, kind: Kind, answers: OfferAnswers
    ) -> None:
        self._stream = stream
        self._answers = answers
        self.address = address
        self.kind = kind

    def accept(self, bound: Address | None = None) -> TunnelStream:
        """Say that the stream stands, and return it. Raises `StreamReset` if it is withdrawn."""
        if self.is_withdrawn:
            raise StreamReset("withdrawn by the other end")
        self._answers.accept(self._stream.id, str(bound) if bound is not None else "")
        return self._stream

    def refuse(self, error: DialError) -> None:
        """Say why the stream does not stand. No effect once it is withdrawn."""
        if not self.is_withdrawn:
            self._answers.refuse(self._stream.id, error)

    @property
    def is_withdrawn(self) -> bool:
        """Whether the other end does not want the stream any more."""
        return self._stream.is_lost

    def on_withdrawn(self, tell: Callable[[], object]) -> None:
        """Have `tell` called once, when the other end does not want the stream any more."""
        self._stream.tell_lost(tell)
