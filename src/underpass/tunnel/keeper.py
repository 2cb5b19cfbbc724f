"""`Keeper`: keeps a client's tunnel up over whatever carriers the network lets through.

One task, `run`, does in turn what is needed: find a carrier that works, wait until it ends, find
the next. Finding is a race: the kind that worked last, then the others from the best on, each
after a head start of the one before, and the first over which a record comes back wins. A carrier
that opens and over which nothing comes back is none.

While a carrier works, better kinds are tried in the background, now and then; when one stands, the
other is let go. A session outlives all of this. When the server does not know it any more, its
streams are reset and a new one begins.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from underpass.address import Address
from underpass.carriers.base import Carrier, CarrierError
from underpass.errors import DialError, Failure, RemoteProtocolError
from underpass.net.clock import TimeLimit
from underpass.net.stream import Stream
from underpass.protocol.attach import NONCE_BYTES
from underpass.protocol.frames import CloseCode
from underpass.protocol.hello import Status
from underpass.protocol.opening import Kind
from underpass.protocol.session_events import CarrierStands
from underpass.tunnel.backoff import Backoff
from underpass.tunnel.driver import CarrierEvent
from underpass.tunnel.greeting import Greeter, HandshakeRefused, read_answer
from underpass.tunnel.race import Race, Standing
from underpass.tunnel.tunnel import Tunnel

# How long one kind may try alone before the next may too, at the least.
HEAD_START_SECONDS = 0.3
# How long a carrier has, once it is open, to bring a record back: this and four round trips.
STAND_SECONDS = 3.0
# How long a dial waits for a tunnel.
OPEN_SECONDS = 30.0
# Better kinds are tried so long after one stood, and then twice as long after each failure.
FIRST_UPGRADE_SECONDS = 30.0
LONGEST_UPGRADE_SECONDS = 1800.0
# A carrier that lived shorter than this has not really worked.
SHORT_LIFE_SECONDS = 10.0

# What a server says that does not know a session, where HTTP has said nothing.
UNKNOWN_STATUS = 404

# What trying again can mend.
_PASSING = frozenset({Status.CLOCK, Status.FULL, Status.DRAINING})


class Maker(Protocol):
    """Makes carriers of one kind, over one route. `name` tells both, for people."""

    @property
    def name(self) -> str:
        """Such as ``websocket, through proxy.example:3128``."""

    def make(self) -> Carrier:
        """A new carrier."""


@dataclass(frozen=True, slots=True)
class TunnelUp:
    """The tunnel is up over another carrier than before; `delay` in seconds."""

    carrier: str
    delay: float


@dataclass(frozen=True, slots=True)
class TunnelDown:
    """No carrier works; `reasons` tell for each kind why not."""

    reasons: tuple[str, ...]


Tell = Callable[[TunnelUp | TunnelDown], None]


class Keeper:
    """See the module. `makers` are the kinds to try, best first; `tell` hears of changes."""

    def __init__(
        self, greeter: Greeter, makers: Sequence[Maker], tell: Tell, first: int | None = None
    ) -> None:
        self._greeter = greeter
        self._makers = list(makers)
        self._tell = tell
        # The kind that worked last, by rank; tried before the others.
        self._first = first
        self._tunnel: Tunnel | None = None
        self._is_up = asyncio.Event()
        self._stands: dict[int, asyncio.Future[None]] = {}
        self._backoff = Backoff()
        self._fatal: HandshakeRefused | None = None
        # Whether the server perhaps does not know our session any more.
        self._is_doubtful = False
        self._tasks = asyncio.TaskGroup()
        self._upgrade_after = FIRST_UPGRADE_SECONDS

    @property
    def tunnel(self) -> Tunnel | None:
        """The tunnel as it is now; None before the first session."""
        return self._tunnel

    @property
    def rank(self) -> int | None:
        """The kind that works or worked last; to be remembered for this network."""
        return self._first

    async def open(self, address: Address) -> Stream:
        """Open a stream through the tunnel; a dial. Raises `DialError`.

        Waits for a tunnel for at most `OPEN_SECONDS`.
        """
        try:
            with TimeLimit(OPEN_SECONDS):
                while self._tunnel is None or self._tunnel.is_closed:
                    self._is_up.clear()
                    await self._is_up.wait()
        except TimeoutError:
            details = f"no carrier has worked for {OPEN_SECONDS:g} s"
            raise DialError(Failure.TUNNEL_DOWN, details) from None
        return await self._tunnel.open(address)

    async def run(self) -> None:
        """Keep the tunnel up until cancelled. Raises `HandshakeRefused` where no try would help."""
        async with self._tasks:
            try:
                while self._fatal is None:
                    standing = await self._find()
                    if standing is None:
                        await asyncio.sleep(self._backoff.next())
                        continue
                    await self._hold(standing)
            finally:
                if self._tunnel is not None:
                    self._tunnel.abort(CloseCode.DONE, "the client has ended")
        if self._fatal is not None:
            raise self._fatal

    # --- finding

    async def _find(self) -> Standing | None:
        """Race the kinds; return the first that works, None when none does."""
        order = list(range(len(self._makers)))
        if self._first is not None:
            order.remove(self._first)
            order.insert(0, self._first)
        race = Race(self._try)
        standing = await race.run(order, HEAD_START_SECONDS + 2 * self._delay)
        if standing is None:
            self._tell(TunnelDown(tuple(race.reasons)))
        return standing

    @property
    def _delay(self) -> float:
        return self._tunnel.session.delay if self._tunnel is not None else 0.1

    async def _try(self, rank: int) -> Standing:
        """Open one carrier and wait until it works. Raises `CarrierError`."""
        maker = self._makers[rank]
        carrier = maker.make()
        try:
            number, tunnel = await self._begin(carrier)
        except (RemoteProtocolError, CarrierError, HandshakeRefused) as error:
            carrier.abort()
            raise CarrierError(f"{maker.name}: {error}") from error
        except asyncio.CancelledError:
            carrier.abort()
            raise
        stands = self._stands[number] = asyncio.get_running_loop().create_future()
        task = self._tasks.create_task(tunnel.carry(number, carrier.run), name=maker.name)
        # An answer to this comes back the whole way.
        tunnel.session.lower_keepalive(number, tunnel.session.terms.keepalive)
        tunnel.settle()
        try:
            await asyncio.wait(
                (stands, task),
                timeout=STAND_SECONDS + 4 * self._delay,
                return_when=asyncio.FIRST_COMPLETED,
            )
        except asyncio.CancelledError:
            task.cancel()
            raise
        finally:
            self._stands.pop(number, None)
        if stands.done():
            return Standing(rank, task, asyncio.get_running_loop().time())
        if task.done() and not task.cancelled():
            raise CarrierError(f"{maker.name}: {task.result()}")
        task.cancel()
        raise CarrierError(f"{maker.name}: it opens, but nothing comes back over it")

    async def _begin(self, carrier: Carrier) -> tuple[int, Tunnel]:
        """Open `carrier`, on the session there is or with a new one; its number and its tunnel."""
        tunnel = self._tunnel
        if tunnel is None or tunnel.is_closed:
            return 0, await self._greet(carrier, None)
        if self._is_doubtful:
            return 0, await self._greet(carrier, tunnel)
        number, message = tunnel.session.attach(os.urandom(NONCE_BYTES), _now())
        try:
            answer = read_answer(await carrier.open(message))
            if answer.kind is not Kind.ATTACHED:
                raise CarrierError("the server does not know this session", UNKNOWN_STATUS)
            tunnel.session.receive_attached(number, answer.body, _now())
        except (RemoteProtocolError, CarrierError, asyncio.CancelledError) as error:
            tunnel.session.remove_carrier(number, _now())
            tunnel.settle()
            # An answer that was no answer of the protocol: perhaps from a server that was started
            # anew. Only a handshake can prove that, so the next try makes one.
            self._is_doubtful = isinstance(error, CarrierError) and error.status != 0
            raise
        return number, tunnel

    async def _greet(self, carrier: Carrier, former: Tunnel | None) -> Tunnel:
        """Begin a new session, in place of `former` if the server has that no more."""
        handshake = self._greeter.hello(former.session.terms.session_id if former else b"")
        answer = read_answer(await carrier.open(handshake.message))
        if answer.kind is not Kind.WELCOME:
            raise RemoteProtocolError("an answer to a hello that is none")
        try:
            greeted = self._greeter.welcomed(handshake, answer, _now())
        except HandshakeRefused as refused:
            if refused.status not in _PASSING:
                self._fatal = refused
            raise
        if self._tunnel is not former and self._tunnel is not None and not self._tunnel.is_closed:
            raise CarrierError("another carrier was quicker")
        self._is_doubtful = False
        if former is not None:
            if greeted.has_former:
                raise CarrierError("the server still has our session: back to it")
            former.abort(CloseCode.EXPIRED, "the server does not know the session any more")
        self._tunnel = Tunnel(greeted.session, self._carrier_event)
        self._is_up.set()
        return self._tunnel

    def _carrier_event(self, event: CarrierEvent) -> None:
        if isinstance(event, CarrierStands):
            stands = self._stands.get(event.carrier)
            if stands is not None and not stands.done():
                stands.set_result(None)

    # --- holding

    async def _hold(self, standing: Standing) -> None:
        """Use a carrier until it ends; meanwhile look for a better one, and change over to it."""
        self._backoff.reset()
        while True:
            self._first = standing.rank
            self._tell(TunnelUp(self._makers[standing.rank].name, self._delay))
            better = await self._better_than(standing)
            if better is None:
                break
            standing.task.cancel()
            standing = better
        if _now() - standing.since < SHORT_LIFE_SECONDS:
            # It opens, and dies: let others have the first try.
            self._first = None
            await asyncio.sleep(self._backoff.next())

    async def _better_than(self, standing: Standing) -> Standing | None:
        """Return a better carrier once one works; None when `standing` has ended."""
        while not standing.task.done():
            wait = self._upgrade_after if standing.rank else None
            await asyncio.wait((standing.task,), timeout=wait)
            if standing.task.done():
                break
            better = await Race(self._try).run(list(range(standing.rank)), STAND_SECONDS)
            if better is not None:
                self._upgrade_after = FIRST_UPGRADE_SECONDS
                return better
            self._upgrade_after = min(self._upgrade_after * 2, LONGEST_UPGRADE_SECONDS)
        return None


def _now() -> float:
    return asyncio.get_running_loop().time()
