"""What carries a carrier's bytes one way: `Flow` as a TCP stream does, `Polls` as requests do.

Both have room for so many bytes, tell when there is more, and can be frozen, cut and finished.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tests.simulation.world import World

# Pieces of one byte, before larger ones come again: enough for every place in a few records.
BYTE_BY_BYTE = 100


@dataclass(frozen=True, slots=True)
class Shape:
    """What a carrier is like. Seconds, bytes, bytes a second."""

    is_polled: bool
    latency: float
    jitter: float
    rate: float
    capacity: int
    # The largest piece it delivers at once, and how often one begins a run of single bytes.
    piece: int
    splits: float
    # How often a request fails, and how many there are at once.
    failing: float
    parallel: int


def draw_shape(world: World, total: int) -> Shape:
    """A carrier of the kinds that there are; the more bytes in all, the less finely it cuts."""
    rng = world.rng
    return Shape(
        is_polled=rng.random() < 0.3,
        latency=world.log_uniform(0.0005, 1.0),
        jitter=rng.choice((0.0, 0.01, 0.5)),
        rate=world.log_uniform(30_000, 20_000_000),
        capacity=max(rng.choice((100, 300, 2000, 20_000, 65_536, 65_536, 1 << 20)), total // 100),
        piece=max(rng.choice((50, 1460, 16_384, 1 << 20, 1 << 20)), total // 100),
        splits=rng.choice((0.0, 0.0, 0.0, 0.005)),
        failing=rng.choice((0.0, 0.05, 0.3)),
        parallel=rng.choice((1, 2, 6)),
    )


class Receiver(Protocol):
    """The end of a way: what it does there."""

    def arrived(self, data: bytes) -> None:
        """Bytes have come."""

    def cut_short(self) -> None:
        """The body that was coming ends within a record."""

    def ended(self) -> None:
        """Nothing will come any more."""


class Sender(Protocol):
    """The beginning of a way: what is told there."""

    def drained(self) -> None:
        """There is more room than there was."""

    def lost(self, records: list[bytes]) -> None:
        """These may not have arrived."""


class Way(Protocol):
    """One direction of a carrier."""

    @property
    def room(self) -> int:
        """How many bytes may be written."""

    def write(self, records: list[bytes]) -> None:
        """Take whole records, or an opening message, to be sent in order."""

    def freeze(self) -> None:
        """Deliver nothing until `thaw`."""

    def thaw(self) -> None:
        """Deliver what has come, and go on."""

    def cut(self, after: int) -> None:
        """Lose all but the next `after` bytes, and tell nobody."""

    def finish(self) -> None:
        """Tell the receiver, behind all that was written, that this is the end."""

    def flip(self, at: int) -> None:
        """Change one bit of a byte to come."""


class Flow:
    """Bytes in order, in pieces, at a rate, late by a latency."""

    def __init__(self, world: World, shape: Shape, sender: Sender, receiver: Receiver) -> None:
        self._world = world
        self._shape = shape
        self._sender = sender
        self._receiver = receiver
        self._waiting = bytearray()
        self._held: list[bytes] = []
        self._is_busy = False
        self._is_frozen = False
        self._is_finished = False
        self._arrives_at = 0.0
        self._left: int | None = None
        self._flip: int | None = None
        self._single = 0

    @property
    def room(self) -> int:
        return 0 if self._is_finished else max(0, self._shape.capacity - len(self._waiting))

    def write(self, records: list[bytes]) -> None:
        for record in records:
            self._waiting += record
        self._move()

    def freeze(self) -> None:
        self._is_frozen = True

    def thaw(self) -> None:
        self._is_frozen = False
        held, self._held = self._held, []
        for piece in held:
            self._receiver.arrived(piece)
        self._move()

    def cut(self, after: int) -> None:
        self._left = after

    def finish(self) -> None:
        self._is_finished = True
        self._move()

    def flip(self, at: int) -> None:
        self._flip = at

    def _move(self) -> None:
        if self._is_busy or self._is_frozen or self._left == 0:
            return
        if not self._waiting:
            if self._is_finished:
                self._world.after(self._delay(), self._receiver.ended)
                self._left = 0
            return
        size = min(len(self._waiting), self._piece())
        self._is_busy = True
        self._world.after(size / self._shape.rate, lambda: self._leave(size))

    def _piece(self) -> int:
        rng = self._world.rng
        if not self._single and rng.random() < self._shape.splits:
            self._single = BYTE_BY_BYTE
        if self._single:
            self._single -= 1
            return 1
        return rng.randint(1, self._shape.piece) if rng.random() < 0.5 else self._shape.piece

    def _delay(self) -> float:
        """Until a piece that leaves now arrives: never before one that left earlier."""
        world, shape = self._world, self._shape
        late = shape.latency * (1 + shape.jitter * world.rng.random())
        self._arrives_at = max(self._arrives_at, world.now + late)
        return self._arrives_at - world.now

    def _leave(self, size: int) -> None:
        self._is_busy = False
        if self._is_frozen:
            return
        piece = bytes(self._waiting[:size])
        del self._waiting[:size]
        if self._left is not None:
            piece = piece[: self._left]
            self._left -= len(piece)
        if piece:
            piece = self._altered(piece)
            self._world.after(self._delay(), lambda: self._arrive(piece))
        self._move()
        self._sender.drained()

    def _altered(self, piece: bytes) -> bytes:
        if self._flip is None:
            return piece
        if self._flip >= len(piece):
            self._flip -= len(piece)
            return piece
        altered = bytearray(piece)
        altered[self._flip] ^= 1 << self._world.rng.randrange(8)
        self._flip = None
        return bytes(altered)

    def _arrive(self, piece: bytes) -> None:
        if self._is_frozen:
            self._held.append(piece)
        else:
            self._receiver.arrived(piece)


class Polls:
    """Bodies of requests: whole, out of order, some failing although they arrived, some twice."""

    def __init__(self, world: World, shape: Shape, sender: Sender, receiver: Receiver) -> None:
        self._world = world
        self._shape = shape
        self._sender = sender
        self._receiver = receiver
        self._under_way = 0
        self._bytes = 0
        self._held: list[list[bytes]] = []
        # The first body has the opening message: the others wait for it, and it must not fail.
        self.is_open = False
        self._is_frozen = False
        self._is_dead = False
        self._is_finished = False
        self._flips = False

    @property
    def room(self) -> int:
        most = self._shape.parallel if self.is_open else 1
        if self._is_finished or self._under_way >= most:
            return 0
        return max(0, self._shape.capacity - self._bytes)

    def write(self, records: list[bytes]) -> None:
        self._under_way += 1
        self._bytes += sum(map(len, records))
        if self._is_frozen:
            self._held.append(records)
        else:
            self._send(records)

    def freeze(self) -> None:
        self._is_frozen = True

    def thaw(self) -> None:
        self._is_frozen = False
        held, self._held = self._held, []
        for records in held:
            self._send(records)

    def cut(self, after: int) -> None:
        self._is_dead = True

    def finish(self) -> None:
        self._is_finished = True
        if not self._is_dead:
            self._world.after(self._late(), self._receiver.ended)

    def flip(self, at: int) -> None:
        self._flips = True

    def _late(self) -> float:
        return self._shape.latency * (1 + 2 * self._world.rng.random())

    def _send(self, records: list[bytes]) -> None:
        if self._is_dead:
            return
        world, shape = self._world, self._shape
        size = sum(map(len, records))
        late = self._late() + size / shape.rate
        fails = self.is_open and not world.is_calm and world.rng.random() < shape.failing
        if not fails:
            world.after(late, lambda: self._deliver(b"".join(records)))
            world.after(late + self._late(), lambda: self._answered(size, None))
            return
        arrives = world.rng.choice((0, size, size, world.rng.randrange(size)))
        world.fault("request failed", f"{len(records)} records, {arrives} of {size} bytes arrive")
        if arrives:
            world.after(late, lambda: self._deliver(b"".join(records)[:arrives]))
            if arrives < size:
                world.after(late, self._receiver.cut_short)
        world.after(2 * late + self._late(), lambda: self._answered(size, records))

    def _deliver(self, body: bytes) -> None:
        if self._flips:
            self._flips = False
            at = self._world.rng.randrange(len(body))
            body = (
                body[:at] + bytes((body[at] ^ 1 << self._world.rng.randrange(8),)) + body[at + 1 :]
            )
        self._receiver.arrived(body)
        if not self._world.is_calm and self._world.rng.random() < self._shape.failing / 4:
            self._world.fault("request repeated", f"{len(body)} bytes")
            late = self._world.rng.choice((1, 100)) * self._late()
            if self.is_open:
                self._world.after(late, lambda: self._receiver.arrived(body))

    def _answered(self, size: int, failed: list[bytes] | None) -> None:
        if self._is_dead:
            return
        self.is_open = True
        self._under_way -= 1
        self._bytes -= size
        if failed is not None:
            self._sender.lost(failed)
        self._sender.drained()


class Void:
    """What a box does that took a carrier for itself: it takes everything and delivers nothing."""

    room = 65_536

    def write(self, records: list[bytes]) -> None:
        pass

    def freeze(self) -> None:
        pass

    def thaw(self) -> None:
        pass

    def cut(self, after: int) -> None:
        pass

    def finish(self) -> None:
        pass

    def flip(self, at: int) -> None:
        pass
