"""What drives a session in a program, here without one: carriers, events and the clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.simulation.carrier import Carrier, CarrierEnd, unknown
from tests.simulation.world import SimulationError, World
from underpass.errors import RemoteProtocolError
from underpass.protocol.attach import parse_attach
from underpass.protocol.record import MAX_RECORD_BYTES
from underpass.protocol.session import Session
from underpass.protocol.session_events import (
    CarrierLost,
    CarrierStands,
    SessionClosed,
    SessionDetached,
    WentAway,
)
from underpass.protocol.session_state import SessionState

if TYPE_CHECKING:
    from tests.simulation.application import Application
    from tests.simulation.watch import Watch

# Turns of events, records and answers at one moment, before it counts as running in circles.
MAX_TURNS = 2000
# No timer is early: a clock that is multiplied rounds.
LATE = 1e-6
NEVER = float("-inf")


class End:
    """One end: its session, its application, its carriers, and a clock of its own."""

    def __init__(self, name: str, world: World, clock_rate: float) -> None:
        self.name = name
        self.world = world
        self.clock_rate = clock_rate
        self.clock_at_start = world.rng.choice((0.0, 1e6)) * world.rng.random()
        self.session: Session
        self.application: Application
        self.watch: Watch
        # What is done when a carrier has ended here.
        self.on_drop: Callable[[], None] = _ignore
        self.sides: dict[int, CarrierEnd] = {}
        self.is_asleep = False
        self.closed: SessionClosed | None = None
        self._asleep: list[Callable[[], None]] = []
        self._attached: set[int] = set()
        self._timer = 0
        # When the timer was handled, until something else happens.
        self._handled_at = NEVER

    def __repr__(self) -> str:
        asleep = ", asleep" if self.is_asleep else ""
        return f"<End {self.name}{asleep} at {self.now:.3f}, {self.session!r}>"

    @property
    def session_lives(self) -> bool:
        """Whether the session is not over."""
        return self.session.state is not SessionState.CLOSED

    @property
    def now(self) -> float:
        """This end's time."""
        return self.clock_at_start + self.world.now * self.clock_rate

    # --- what happens to it

    def serve(self, action: Callable[[], None]) -> None:
        """Do `action`, then all that follows of it; while asleep, later."""
        if self.is_asleep:
            self._asleep.append(action)
            return
        action()
        self.settle()
        self._handled_at = NEVER

    def sleep(self, seconds: float) -> None:
        """Do nothing at all for `seconds` of the world."""
        if not self.is_asleep:
            self.is_asleep = True
            self.world.after(seconds, self._wake)

    def _wake(self) -> None:
        self.is_asleep = False
        waiting, self._asleep = self._asleep, []
        self.world.note(f"{self.name} wakes, {len(waiting)} things wait")
        timer_first = self.world.rng.random() < 0.5
        if timer_first:
            self.serve(self._handle_timer)
        for action in waiting:
            self.serve(action)
        if not timer_first:
            self.serve(self._handle_timer)

    def settle(self) -> None:
        """Give events to the application and records to carriers until nothing is left."""
        for _ in range(MAX_TURNS):
            happened = self._take_events()
            if not self._send() and not happened:
                break
        else:
            raise SimulationError(f"{self.name} finds no rest")
        self.watch.look()
        self._arm()

    def _arm(self) -> None:
        """Set the timer, and drop the one set before."""
        self._timer += 1
        number, at = self._timer, self.session.next_timer()
        if at is None:
            return
        if at <= self._handled_at:
            raise SimulationError(f"{self.name} wants its timer again for {at}, which has been")
        delay = (at - self.now) / self.clock_rate + LATE
        self.world.after(delay, lambda: self._timer_due(number))

    def _timer_due(self, number: int) -> None:
        if number == self._timer and not self.is_asleep:
            self.serve(self._handle_timer)

    def _handle_timer(self) -> None:
        self._handled_at = self.now
        self.session.handle_timer(self.now)

    # --- events

    def _take_events(self) -> bool:
        events = self.session.events()
        for event in events:
            if self.closed is not None:
                raise SimulationError(f"{self.name} tells {event} after {self.closed}")
            if self.world.is_traced:
                self.world.note(f"{self.name}: {_short(event)}")
            match event:
                case CarrierLost(number):
                    self._dropped(number)
                case CarrierStands() | SessionDetached() | WentAway():
                    pass
                case SessionClosed():
                    self.closed = event
                case _:
                    self.application.happened(event)
        if self.closed is not None and self.sides and not self._send():
            for number in list(self.sides):
                self._dropped(number)
        if events:
            self.application.act()
        return bool(events)

    # --- carriers

    def use(self, side: CarrierEnd) -> None:
        """Have a carrier, whose number is known."""
        assert side.number is not None
        self.sides[side.number] = side

    def attached(self, side: CarrierEnd, body: bytes) -> None:
        """Server: an ATTACH has come. Raises `RemoteProtocolError`."""
        attach = parse_attach(body)
        before = self.session.carriers
        if self.session.state is SessionState.CLOSED:
            side.out.write([unknown(self)])
            raise RemoteProtocolError("an attach to a session that is over")
        try:
            answer = self.session.accept_attach(attach, self.now)
        except RemoteProtocolError:
            if self.session.carriers != before:
                raise SimulationError("a refused attach changed the carriers") from None
            raise
        if attach.number in self._attached:
            raise SimulationError(f"carrier {attach.number} was attached twice")
        self._attached.add(attach.number)
        side.number = attach.number
        side.out.write([answer])
        self.use(side)

    def lose(self, side: CarrierEnd) -> None:
        """This carrier is over for us, whatever the session thinks of it."""
        if side.number is None:
            side.out.finish()
        elif self.sides.get(side.number) is side:
            self._dropped(side.number)
            self.session.remove_carrier(side.number, self.now)

    def _dropped(self, number: int) -> None:
        side = self.sides.pop(number, None)
        if side is not None:
            self.world.note(f"{self.name} ends carrier {number}")
            side.out.finish()
            self.on_drop()

    def attach(self, carrier_of: Callable[[int], Carrier]) -> bytes:
        """Client: begin another carrier; returns its opening message."""
        number, opening = self.session.attach(self.world.rng.randbytes(16), self.now)
        carrier = carrier_of(number)
        carrier.expect_openings()
        carrier.up.write([opening])
        self.use(carrier.client)
        return opening

    def _send(self) -> bool:
        """Give records to every carrier that has room; return whether there were any."""
        sent = False
        numbers = list(self.sides)
        self.world.rng.shuffle(numbers)
        for number in numbers:
            side = self.sides[number]
            room = side.out.room
            if not room:
                continue
            records = self.session.data_to_send(number, room, self.now)
            if records:
                sent = True
                self._check_room(records, room)
                self.watch.sent(number, records)
                side.out.write(records)
        return sent

    def _check_room(self, records: list[bytes], room: int) -> None:
        size = sum(map(len, records))
        if size > room and (len(records) > 1 or size > MAX_RECORD_BYTES):
            raise SimulationError(f"{self.name}: {size} bytes of records for {room} bytes of room")


def _ignore() -> None:
    """Nothing waits for it."""


def _short(event: object) -> str:
    text = str(event)
    return text if len(text) <= 160 else f"{text[:150]}…({len(text)})"
