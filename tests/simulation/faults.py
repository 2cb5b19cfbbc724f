"""What goes wrong, and when: drawn from the seed, until the world is calm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.simulation.carrier import Carrier
from tests.simulation.dialer import Dialer
from tests.simulation.end import End
from tests.simulation.world import World
from underpass.protocol.frames import CloseCode

# Records that a box repeats come so much later, at most.
LATE_REPEAT = 300.0


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """How much goes wrong. Seconds of the world."""

    # No fault begins after this.
    until: float
    count: int
    # The longest that an end sleeps, and that there are no carriers at all.
    sleep: float
    outage: float
    # One end leaves in the middle: "go away", "close", "abort", or not at all.
    leaving: str


class Faults:
    """Makes the faults of one simulation happen."""

    def __init__(self, plan: FaultPlan, dialer: Dialer) -> None:
        self._plan = plan
        self._dialer = dialer
        self._world: World = dialer.world
        self._ends = (dialer.client, dialer.server)
        # Each simulation has some kinds of faults, not all.
        every: list[Callable[[], None]] = [
            self._cut,
            self._cut,
            self._freeze,
            self._flip,
            self._repeat_record,
            self._reflect_record,
            self._repeat_attach,
            self._drop,
            self._lower_keepalive,
        ]
        if plan.sleep:
            every.append(self._sleep)
        if plan.outage:
            every.append(self._outage)
        self._kinds = self._world.rng.sample(every, self._world.rng.randint(1, len(every)))

    def schedule(self) -> None:
        """Put every fault into the world's calendar."""
        rng = self._world.rng
        for _ in range(self._plan.count):
            self._world.after(rng.random() * self._plan.until, rng.choice(self._kinds))
        if self._plan.leaving:
            self._world.after(rng.random() * self._plan.until, self._leave)

    def calm(self) -> None:
        """No more faults: what is frozen goes on, and carriers can be made."""
        self._world.is_calm = True
        self._world.is_up = True
        self._world.note("calm from here on")
        for carrier in self._dialer.carriers:
            for way in carrier.ways:
                way.thaw()
        self._dialer.dial_soon()

    def _any(self) -> Carrier:
        return self._world.rng.choice(self._dialer.carriers)

    # --- carriers

    def _cut(self) -> None:
        self._cut_carrier(self._any())

    def _cut_carrier(self, carrier: Carrier) -> None:
        rng = self._world.rng
        after = rng.choice((0, rng.randrange(100), rng.randrange(100_000)))
        learn = [rng.choice((0.0, 0.2, 5.0, 50.0, None)) for _ in range(2)]
        self._world.fault("cut", f"carrier {carrier.number} after {after}, ends learn: {learn}")
        for way in rng.sample(carrier.ways, rng.choice((1, 2, 2))):
            way.cut(after)
        for side, delay in zip((carrier.client, carrier.server), learn, strict=True):
            if delay is not None:
                self._world.after(delay * rng.random(), side.ended)

    def _freeze(self) -> None:
        rng = self._world.rng
        carrier, seconds = self._any(), rng.choice((0.5, 10.0, 90.0)) * rng.random()
        ways = rng.sample(carrier.ways, rng.choice((1, 2)))
        self._world.fault("frozen", f"carrier {carrier.number}, {len(ways)} ways, {seconds:.1f} s")
        for way in ways:
            way.freeze()
            self._world.after(seconds, way.thaw)

    def _flip(self) -> None:
        rng = self._world.rng
        carrier = self._any()
        self._world.fault("bit flipped", f"on carrier {carrier.number}")
        rng.choice(carrier.ways).flip(rng.choice((rng.randrange(12), rng.randrange(5000))))

    def _drop(self) -> None:
        end = self._world.rng.choice(self._ends)
        end.serve(lambda: self._drop_at(end))

    def _drop_at(self, end: End) -> None:
        if end.sides:
            number = self._world.rng.choice(list(end.sides))
            self._world.fault("ended by one end", f"carrier {number} by the {end.name}")
            end.lose(end.sides[number])

    def _lower_keepalive(self) -> None:
        end = self._world.rng.choice(self._ends)
        seconds = self._world.log_uniform(0.1, 30)
        end.serve(lambda: self._lower_at(end, seconds))

    def _lower_at(self, end: End, seconds: float) -> None:
        for number in end.sides:
            end.session.lower_keepalive(number, seconds)

    # --- boxes

    def _repeat_record(self) -> None:
        self._inject("record repeated", same_way=True)

    def _reflect_record(self) -> None:
        self._inject("record reflected", same_way=False)

    def _inject(self, kind: str, *, same_way: bool) -> None:
        rng = self._world.rng
        sender, receiver = rng.sample(self._ends, 2)
        if not sender.watch.samples:
            return
        record = rng.choice(sender.watch.samples)
        late = rng.choice((0.0, 1.0, LATE_REPEAT)) * rng.random()
        into = receiver if same_way else sender
        self._world.after(late, lambda: self._deliver(kind, record, into))

    def _deliver(self, kind: str, record: bytes, end: End) -> None:
        """On any carrier that stands: behind the bytes of its own, if they end with a record."""
        if not end.sides or self._world.is_calm:
            return
        number = self._world.rng.choice(list(end.sides))
        self._world.fault(kind, f"{len(record)} bytes to the {end.name} on carrier {number}")
        side = self._other(end).sides.get(number)
        if side is not None and side.out.room:
            side.out.write([record])

    def _other(self, end: End) -> End:
        return self._ends[0] if end is self._ends[1] else self._ends[1]

    def _repeat_attach(self) -> None:
        rng = self._world.rng
        if not self._dialer.attaches:
            return
        body = rng.choice(self._dialer.attaches)
        if rng.random() < 0.5:
            self._world.fault("ATTACH repeated")
            self._dialer.repeat_attach(body)
        else:
            self._world.fault("ATTACH forged")
            self._dialer.forge_attach(body)

    # --- the world

    def _sleep(self) -> None:
        end = self._world.rng.choice(self._ends)
        seconds = self._plan.sleep * self._world.rng.random()
        if not end.is_asleep:
            self._world.fault("asleep", f"the {end.name} for {seconds:.0f} s")
            end.sleep(seconds)

    def _outage(self) -> None:
        if not self._world.is_up:
            return
        seconds = self._plan.outage * self._world.rng.random()
        self._world.fault("all carriers gone", f"for {seconds:.0f} s")
        self._world.is_up = False
        for carrier in self._dialer.carriers:
            self._cut_carrier(carrier)
        self._world.after(seconds, self._restore)

    def _restore(self) -> None:
        self._world.is_up = True
        self._dialer.dial_soon()

    # --- leaving

    def _leave(self) -> None:
        end = self._world.rng.choice(self._ends)
        end.serve(lambda: self._leave_at(end))

    def _leave_at(self, end: End) -> None:
        self._world.fault(self._plan.leaving, f"by the {end.name}")
        end.application.is_leaving = True
        if self._plan.leaving == "abort":
            end.session.abort(CloseCode.SHUTDOWN, "aborted")
        elif self._plan.leaving == "close":
            end.session.close()
        else:
            end.session.go_away(CloseCode.SHUTDOWN, "leaving")
