"""One simulation: two ends meet, work, suffer, come to rest and part, all from one seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.simulation.application import Application
from tests.simulation.dialer import Dialer
from tests.simulation.end import End
from tests.simulation.faults import FaultPlan, Faults
from tests.simulation.meeting import Meeting, meet
from tests.simulation.plan import StreamPlan, draw_scale, draw_streams
from tests.simulation.watch import Watch
from tests.simulation.world import SimulationError, World
from underpass.errors import UnderpassError
from underpass.protocol.frames import CloseCode
from underpass.protocol.session import Session

# In calm, all must have come to its end within this many seconds; and once closed, within these.
REST_SECONDS = 3600.0
CLOSE_SECONDS = 120.0

# What a broken session may raise: all of it is a failure of this seed, told with its number.
FAILURES = (
    SimulationError,
    UnderpassError,
    LookupError,
    ArithmeticError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one simulation was; `failure` is empty if all held."""

    seed: int
    failure: str
    seconds: float
    steps: int
    streams: int
    bytes: int
    records: int
    repeated: int
    faults: dict[str, int]


class Simulation:
    """See the module."""

    def __init__(self, seed: int, trace: Callable[[str], None] | None = None) -> None:
        self.world = World(seed, trace)
        rng = self.world.rng
        self.seed = seed
        scale = draw_scale(rng)
        self._total = scale.streams * scale.stream_bytes
        meeting = meet(self.world, self._total)
        self.client = End("client", self.world, rng.choice((1.0, 1.0, 0.8, 1.25)))
        self.server = End("server", self.world, rng.choice((1.0, 1.0, 0.8, 1.25)))
        self.ends = (self.client, self.server)
        self._staff(meeting, draw_streams(rng, scale))
        meddling = rng.choice((0.0, 0.1, 0.5))
        self._dialer = Dialer(
            self.client, self.server, rng.choice((1, 1, 2, 3, 4, 8)), self._total, meddling
        )
        self.may_expire = rng.random() < 0.15
        self.was_closed = False
        self._grace = meeting.grace
        self._plan = self._draw_faults(scale.seconds, meeting.grace)
        self._faults = Faults(self._plan, self._dialer)

    def _staff(self, meeting: Meeting, plans: list[StreamPlan]) -> None:
        """Give each end its session and its application."""
        for end, keys, terms in (
            (self.client, meeting.client_keys, meeting.client_terms),
            (self.server, meeting.server_keys, meeting.server_terms),
        ):
            end.session = Session(keys, terms, end.now, is_client=end is self.client)
            end.watch = Watch(end, keys.send)
            end.application = Application(end, plans)
        self.client.application.other = self.server.application
        self.server.application.other = self.client.application

    def _draw_faults(self, seconds: float, grace: float) -> FaultPlan:
        rng = self.world.rng
        # Clocks differ by a quarter, and to notice and to dial takes time too.
        longest = 3 * grace if self.may_expire else max(0.0, grace / 1.25 - 100)
        return FaultPlan(
            until=rng.choice((2.0, 20.0, 100.0)) + seconds,
            count=rng.choice((0, 1, 3, 10, 30)),
            sleep=min(rng.choice((0.0, 40.0, 600.0)), longest),
            outage=min(rng.choice((0.0, 5.0, 300.0)), longest),
            leaving=rng.choice(("", "", "", "", "", "go away", "close", "abort")),
        )

    # --- what happens

    def run(self) -> Outcome:
        """Run it; whatever does not hold is told in the outcome."""
        failure = ""
        try:
            self._happen()
        except FAILURES as error:
            if self.world.is_traced:
                self.world.note(self.describe())
            failure = f"{type(error).__name__}: {error}"
            if not isinstance(error, SimulationError) and self.world.is_traced:
                raise
        watches = [end.watch for end in self.ends]
        return Outcome(
            seed=self.seed,
            failure=failure,
            seconds=self.world.now,
            steps=self.world.steps,
            streams=len(self.client.application.streams),
            bytes=sum(s.received for end in self.ends for s in end.application.streams.values()),
            records=sum(watch.records for watch in watches),
            repeated=sum(watch.repeated for watch in watches),
            faults=dict(self.world.faults),
        )

    def _happen(self) -> None:
        self._dialer.begin()
        self._faults.schedule()
        for end in self.ends:
            end.application.start()
            end.settle()
        self.world.run(self._both_closed, self._plan.until)
        self.world.run(self._all_awake, self.world.now + self._plan.sleep + 1)
        self._faults.calm()
        if not self.world.run(self._is_at_rest, self.world.now + REST_SECONDS):
            raise SimulationError(f"no progress for {REST_SECONDS:.0f} s\n{self.describe()}")
        self._part()
        self._check_end()

    def _all_awake(self) -> bool:
        return not any(end.is_asleep for end in self.ends)

    def _both_closed(self) -> bool:
        return all(end.closed for end in self.ends)

    def _is_at_rest(self) -> bool:
        if self._both_closed():
            return True
        return all(end.closed or end.application.is_finished for end in self.ends) and not any(
            end.closed for end in self.ends
        )

    def _part(self) -> None:
        """Close, at one end or at both."""
        if self._both_closed():
            return
        rng = self.world.rng
        closing = rng.sample(self.ends, rng.choice((1, 1, 2)))
        # The grace time may end before the first carrier that the calm brings.
        were_apart = not any(end.session.carriers for end in self.ends)
        for end in closing:
            self.world.note(f"{end.name} closes")
            end.serve(end.session.close)
        # A CLOSE on a carrier that nobody knows to be dead yet leaves the other end to its grace,
        # also where that end was closing too.
        until = self.world.now + CLOSE_SECONDS
        if not self.world.run(lambda: all(end.closed for end in closing), until):
            raise SimulationError(f"not closed in {CLOSE_SECONDS:.0f} s\n{self.describe()}")
        in_order = [end for end in closing if end.closed and end.closed.code == CloseCode.DONE]
        if not in_order and not were_apart:
            raise SimulationError(f"not closed in order\n{self.describe()}")
        self.was_closed = True
        self.world.run(self._both_closed, until + 2 * self._grace)
        if not self._both_closed():
            raise SimulationError(f"one end does not close\n{self.describe()}")

    # --- what must hold at the end

    def _check_end(self) -> None:
        self._check_codes()
        for end in self.ends:
            end.watch.nothing_left()
            for carrier in end.session.carriers:
                end.session.receive_data(carrier, b"\xff" * 100, end.now)
            if end.session.events():
                raise SimulationError(f"something happened at the {end.name} after the end")
            for stream in end.application.streams.values():
                if not stream.is_gone:
                    raise SimulationError(f"{stream!r} was never told of the end")
        if not self.may_expire and self._plan.leaving != "abort":
            self._check_streams()

    def _check_codes(self) -> None:
        codes = {end.name: end.closed.code for end in self.ends if end.closed}
        allowed = {int(CloseCode.DONE)}
        if self.may_expire or self.was_closed or self._plan.leaving in ("close", "abort"):
            allowed.add(CloseCode.EXPIRED)
        if self._plan.leaving == "abort":
            allowed.add(CloseCode.SHUTDOWN)
        if not set(codes.values()) <= allowed:
            raise SimulationError(f"closed with {codes}\n{self.describe()}")

    def _check_streams(self) -> None:
        """What nobody reset or refused has arrived whole, both ways."""
        for end in self.ends:
            for stream in end.application.streams.values():
                stream.check_end()

    def describe(self) -> str:
        """Both ends, for a person to read."""
        lines = []
        for end in self.ends:
            session = end.session
            lines += [
                f"{end!r}",
                f"  timer {session.next_timer()}, sides {list(end.sides)},"
                f" carriers {list(session._carriers)}",
                f"  received {session._received.next_seq}, gaps {session._received._ahead},"
                f" sent {session._sent.next_seq}, skips {session._sent.skips},"
                f" control {len(session.streams.outgoing.control)}",
            ]
            open_streams = [s for s in end.application.streams.values() if not s.is_gone]
            lines += [f"  {stream!r}" for stream in open_streams[:20]]
            lines += [f"  {stream!r}" for stream in list(session.streams._table)[:20]]
            if end.application.unopened:
                lines.append(f"  {end.application.unopened} streams to open")
        return "\n".join(lines)


def simulate(seed: int, trace: Callable[[str], None] | None = None) -> Outcome:
    """Run the simulation of `seed`; `trace` takes the lines of its story."""
    return Simulation(seed, trace).run()
