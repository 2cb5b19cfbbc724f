"""The handshake of the two ends, before anything else happens, with what a box may try."""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.world import SimulationError, World
from underpass.errors import RemoteProtocolError
from underpass.protocol.handshake import ClientHandshake, ServerHandshake, SessionKeys, Welcome
from underpass.protocol.hello import Capability, ClientHello, Limits, ServerHello, negotiate
from underpass.protocol.noise import public_key
from underpass.protocol.opening import Opening, OpeningReader
from underpass.protocol.replay_guard import ReplayGuard, Verdict
from underpass.protocol.session_terms import SessionTerms
from underpass.protocol.stream_table import StreamLimits


@dataclass(frozen=True, slots=True)
class Meeting:
    """What the handshake gave each end."""

    client_keys: SessionKeys
    server_keys: SessionKeys
    client_terms: SessionTerms
    server_terms: SessionTerms

    @property
    def grace(self) -> float:
        """The grace time that was agreed on."""
        return self.client_terms.grace


def meet(world: World, total: int) -> Meeting:
    """Do the handshake; `total` bytes will go over all the streams."""
    rng = world.rng
    server_key = rng.randbytes(32)
    wanted, allowed = _draw_limits(world, total), _draw_limits(world, total)
    hello = ClientHello(timestamp=1, limits=wanted, capabilities=Capability.DATAGRAMS)
    client = ClientHandshake(rng.randbytes(32), public_key(server_key), hello, rng.randbytes(32))
    server = ServerHandshake(server_key)
    _refuse_altered(world, server_key, client.message)
    received = server.receive(_carried(world, client.message).body)
    guard = ReplayGuard()
    first = guard.admit(received.ephemeral, 1, 1)
    again = guard.admit(received.ephemeral, 1, 2)
    if (first, again) != (Verdict.FRESH, Verdict.REPLAYED):
        raise SimulationError("a replayed hello was not told from a fresh one")
    limits = negotiate(wanted, allowed)
    answer = ServerHello(rng.randbytes(17), limits, Capability.DATAGRAMS)
    message, server_keys = server.welcome(answer, rng.randbytes(32))
    welcome = client.receive(_carried(world, message).body)
    if not isinstance(welcome, Welcome):
        raise SimulationError("refused without a reason")
    return Meeting(
        welcome.keys,
        server_keys,
        _terms(answer, wanted, answer.limits, _draw_pool(world)),
        _terms(answer, answer.limits, wanted, _draw_pool(world)),
    )


def _draw_limits(world: World, total: int) -> Limits:
    rng = world.rng
    return Limits(
        initial_window=max(rng.choice((64, 1000, 32 * 1024, 32 * 1024, 256 * 1024)), total // 100),
        streams=rng.choice((2, 5, 1024, 1024)),
        grace=rng.choice((60, 600, 600)),
        keepalive=rng.choice((1_000, 5_000, 30_000)),
    )


def _draw_pool(world: World) -> int:
    return world.rng.choice((0, 10_000, 1 << 20, 32 << 20))


def _terms(answer: ServerHello, own: Limits, other: Limits, pool: int) -> SessionTerms:
    return SessionTerms(
        session_id=answer.session_id,
        own=StreamLimits(own.streams, own.initial_window),
        other=StreamLimits(other.streams, other.initial_window),
        pool=pool,
        grace=float(answer.limits.grace),
        keepalive=answer.limits.keepalive / 1000,
    )


def _carried(world: World, message: bytes) -> Opening:
    """The opening message as it comes out of a reader, in pieces of any size."""
    reader = OpeningReader()
    at = 0
    while True:
        size = world.rng.choice((1, 10, 4096))
        found = reader.receive_data(message[at : at + size])
        at += size
        if found is not None:
            return found[0]


def _refuse_altered(world: World, server_key: bytes, message: bytes) -> None:
    """A hello of which one bit is changed gets no answer."""
    body = bytearray(_carried(world, message).body)
    body[world.rng.randrange(len(body))] ^= 1 << world.rng.randrange(8)
    try:
        ServerHandshake(server_key).receive(bytes(body))
    except RemoteProtocolError:
        world.fault("HELLO altered")
        return
    raise SimulationError("an altered HELLO was taken")
