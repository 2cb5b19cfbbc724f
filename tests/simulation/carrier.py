"""A carrier with both of its ends: the opening messages, and records after them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.simulation.ways import Flow, Polls, Shape, Way
from tests.simulation.world import World
from underpass.errors import RemoteProtocolError
from underpass.protocol.attach import make_unknown, parse_unknown
from underpass.protocol.opening import FROM_CLIENT, FROM_SERVER, Kind, Opening, OpeningReader

if TYPE_CHECKING:
    from tests.simulation.end import End


class CarrierEnd:
    """What one end has of a carrier. `number` is None until the server knows it."""

    def __init__(self, end: End, number: int | None) -> None:
        self._end = end
        self.number = number
        # None once the opening message of the other end has come.
        self.reader: OpeningReader | None = None
        self.out: Way

    def arrived(self, data: bytes) -> None:
        """Bytes have come; while the end sleeps they wait."""
        self._end.serve(lambda: self._take_in(data))

    def cut_short(self) -> None:
        """The rest of a body will not come."""
        self._end.serve(self._forget)

    def ended(self) -> None:
        """The other end has ended this carrier."""
        self._end.serve(lambda: self._end.lose(self))

    def drained(self) -> None:
        """There is room."""
        self._end.serve(_nothing)

    def lost(self, records: list[bytes]) -> None:
        """A request with these has failed."""
        self._end.serve(lambda: self._end.session.lost(records, self._end.now))

    def _forget(self) -> None:
        if self.number is not None:
            self._end.session.forget_partial(self.number)

    def _take_in(self, data: bytes) -> None:
        if self.reader is None:
            if self.number is not None:
                self._end.session.receive_data(self.number, data, self._end.now)
            return
        try:
            found = self.reader.receive_data(data)
            if found is None:
                return
            self.reader = None
            self._opened(found[0])
        except RemoteProtocolError as error:
            self._end.world.note(f"{self._end.name} refuses a carrier: {error.reason}")
            self._end.lose(self)
            return
        if found[1]:
            self._take_in(found[1])

    def _opened(self, message: Opening) -> None:
        """Take in an opening message. Raises `RemoteProtocolError`."""
        if message.kind is Kind.ATTACH:
            self._end.world.note(f"ATTACH comes to the {self._end.name}")
            self._end.attached(self, message.body)
        elif message.kind is Kind.ATTACHED:
            if self.number is None:
                raise RemoteProtocolError("an answer to nothing")
            self._end.session.receive_attached(self.number, message.body, self._end.now)
        elif message.kind is Kind.UNKNOWN:
            parse_unknown(message.body)
            raise RemoteProtocolError("the server does not know the session")
        else:
            raise RemoteProtocolError("not here")


def _nothing() -> None:
    """Serving an end lets it send what waits; nothing else is to be done."""


class Carrier:
    """Both ends of one carrier, and the two ways between them."""

    def __init__(self, world: World, shape: Shape, client: End, server: End, number: int) -> None:
        self.number = number
        self.shape = shape
        self.client = CarrierEnd(client, number)
        self.server = CarrierEnd(server, None)
        make: Callable[..., Flow | Polls] = Polls if shape.is_polled else Flow
        self.up = make(world, shape, self.client, self.server)
        self.down = make(world, shape, self.server, self.client)
        self.client.out = self.up
        self.server.out = self.down

    def expect_openings(self) -> None:
        """ATTACH comes first, then ATTACHED."""
        self.server.reader = OpeningReader(FROM_CLIENT)
        self.client.reader = OpeningReader(FROM_SERVER)

    def skip_openings(self) -> None:
        """The carrier of the handshake: its openings are over."""
        self.server.number = self.number
        for way in (self.up, self.down):
            if isinstance(way, Polls):
                way.is_open = True

    @property
    def ways(self) -> tuple[Way, Way]:
        """Up and down."""
        return self.up, self.down


def unknown(end: End) -> bytes:
    """What a server, or anybody, says that has no such session."""
    return make_unknown(end.session.terms.session_id)
