"""What a client does to have as many carriers as it wants; and what boxes do to its openings."""

from __future__ import annotations

from tests.simulation.carrier import Carrier, CarrierEnd, unknown
from tests.simulation.end import End
from tests.simulation.ways import Void, draw_shape
from tests.simulation.world import SimulationError
from underpass.errors import RemoteProtocolError
from underpass.protocol.opening import OpeningReader

# Seconds before a carrier is tried again.
BACKOFF = (0.05, 3.0)
# Openings that a box keeps to repeat them.
MAX_KEPT = 20


class Dialer:
    """Keeps `wanted` carriers between the two ends. `carriers` are all that may still be cut."""

    def __init__(self, client: End, server: End, wanted: int, total: int, meddling: float) -> None:
        self.world = client.world
        self.client = client
        self.server = server
        self.carriers: list[Carrier] = []
        self.attaches: list[bytes] = []
        self._wanted = wanted
        self._total = total
        self._meddling = meddling
        self._is_waiting = False
        client.on_drop = self.dial_soon

    def begin(self) -> None:
        """The carrier of the handshake, which is over."""
        carrier = self._make(0)
        carrier.skip_openings()
        for end, side in ((self.client, carrier.client), (self.server, carrier.server)):
            end.session.begin(end.now)
            end.use(side)
        self.dial_soon()

    def dial_soon(self) -> None:
        """Another carrier, if one is wanted, after a while."""
        if self._is_waiting or len(self.client.sides) >= self._wanted:
            return
        self._is_waiting = True
        self.world.after(self.world.log_uniform(*BACKOFF), lambda: self.client.serve(self._dial))

    def _dial(self) -> None:
        self._is_waiting = False
        if self.client.closed is not None or not self.client.session_lives:
            return
        if self.world.is_up and len(self.client.sides) < self._wanted:
            self.attaches = [
                *self.attaches[-MAX_KEPT:],
                body_of(self.client.attach(self._make)),
            ]
            self._meddle(self.carriers[-1])
        self.dial_soon()

    def _make(self, number: int) -> Carrier:
        shape = draw_shape(self.world, self._total)
        carrier = Carrier(self.world, shape, self.client, self.server, number)
        self.carriers = [*self.carriers[-15:], carrier]
        kind = "requests" if shape.is_polled else "a stream"
        self.world.note(
            f"carrier {number} is {kind}: {shape.latency * 1000:.1f} ms, {shape.rate:,.0f} B/s,"
            f" {shape.capacity:,} B of room, pieces to {shape.piece:,} B"
        )
        return carrier

    # --- boxes

    def _meddle(self, carrier: Carrier) -> None:
        rng = self.world.rng
        if self.world.is_calm or rng.random() >= self._meddling:
            return
        match rng.randrange(4):
            case 0:
                self.world.fault("UNKNOWN injected", f"on carrier {carrier.number}")
                carrier.down.write([unknown(self.server)])
            case 1:
                self.world.fault("ATTACHED lost", f"on carrier {carrier.number}")
                carrier.down.cut(0)
            case 2:
                self.world.fault("opening altered", f"on carrier {carrier.number}")
                rng.choice(carrier.ways).flip(rng.randrange(80))
            case _:
                self.world.fault("ATTACH taken", f"of carrier {carrier.number}")
                self.repeat_attach(self.attaches[-1])

    def repeat_attach(self, body: bytes) -> None:
        """A box says an ATTACH itself."""
        self.server.serve(lambda: self._attach(body))

    def forge_attach(self, body: bytes) -> None:
        """A box says an ATTACH that it has changed."""
        at = self.world.rng.randrange(len(body))
        forged = body[:at] + bytes((body[at] ^ 1 << self.world.rng.randrange(8),)) + body[at + 1 :]
        self.server.serve(lambda: self._attach(forged, is_forged=True))

    def _attach(self, body: bytes, *, is_forged: bool = False) -> None:
        side = CarrierEnd(self.server, None)
        side.out = Void()
        try:
            self.server.attached(side, body)
        except RemoteProtocolError as error:
            self.world.note(f"server refuses an attach: {error.reason}")
            return
        if is_forged:
            raise SimulationError("the server took a forged ATTACH")


def body_of(message: bytes) -> bytes:
    """The body of a whole opening message."""
    found = OpeningReader().receive_data(message)
    assert found is not None
    return found[0].body
