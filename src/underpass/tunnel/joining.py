"""`Joiner`: brings carriers to a client's session, and begins a session where there is none.

What it does for one carrier: attach it to the session there is. Where the answer is none of the
protocol's, perhaps because the server was started anew, say hello and name the session: only a
handshake can prove that it is lost. Carriers may be brought at the same time; of two that begin a
session one is quicker, and the other's session is ended in order.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from underpass.carriers.base import Carrier, CarrierError
from underpass.errors import RemoteProtocolError, UnderpassError
from underpass.net.clock import TimeLimit
from underpass.protocol.attach import NONCE_BYTES
from underpass.protocol.frames import CloseCode
from underpass.protocol.hello import Status
from underpass.protocol.opening import Kind
from underpass.protocol.session import Session
from underpass.protocol.session_events import SessionClosed
from underpass.tunnel.driver import CarrierEvent
from underpass.tunnel.greeting import Greeter, HandshakeRefused, read_answer
from underpass.tunnel.tunnel import Tunnel

# Carriers opened for one join at most: attach, hello, attach to the session of one that was
# quicker, and one more for a clock that was corrected on the way.
MAX_STEPS = 4

# What it may take to tell the server that a session is not wanted.
DISMISS_SECONDS = 3.0

# What trying again, later, can mend.
PASSING = frozenset({Status.CLOCK, Status.FULL, Status.DRAINING})

# Why there is no carrier any more.
OVER = "the client has ended"

# Why there is no session any more, as far as this end can know: a server tells strangers nothing,
# and who comes back to a session that is gone is none but a stranger.
FORGOTTEN = (
    "the server does not know it any more; it was started anew, perhaps, or nothing came through"
    " for longer than it waits"
)

# What a server says that does not know a session, where HTTP has said nothing.
UNKNOWN_STATUS = 404


@dataclass(frozen=True, slots=True)
class SessionLost:
    """The session has ended, which nobody here wanted, and its streams are reset."""

    reason: str


class Maker(Protocol):
    """Makes carriers of one kind, over one route. `name` tells both, for people."""

    @property
    def name(self) -> str:
        """Such as ``websocket, through proxy.example:3128``."""

    def make(self) -> Carrier:
        """A new carrier."""


@dataclass(frozen=True, slots=True)
class Joined:
    """An open carrier that is number `number` of the tunnel's session."""

    tunnel: Tunnel
    number: int
    carrier: Carrier


class _Greeting:
    """A hello on its way; who waits for its answer may leave before that comes."""

    is_abandoned = False


_Outcome: TypeAlias = Joined | UnderpassError | None


class Joiner:
    """See the module. Whatever goes on behind a caller's back is a task of `tasks`.

    `tunnel` is the one in use, None before the first; `changed` is called when there is another,
    and `tell` when it is lost.
    """

    def __init__(
        self,
        greeter: Greeter,
        tasks: asyncio.TaskGroup,
        changed: Callable[[], None],
        tell: Callable[[SessionLost], None],
    ) -> None:
        self._greeter = greeter
        self._tasks = tasks
        self._changed = changed
        self._tell = tell
        self.tunnel: Tunnel | None = None
        # The server's word that no further try will be let in.
        self.refused: HandshakeRefused | None = None
        # Whether `tasks` is about to end, or has: it takes no task any more, and who joins from
        # within a task of a task may not have heard yet.
        self.is_over = False

    async def join(self, maker: Maker) -> Joined:
        """Open a carrier on the session there is, or on a new one. Raises `CarrierError`."""
        doubted: Tunnel | None = None
        may_doubt = True
        for _ in range(MAX_STEPS):
            if self.is_over:
                raise CarrierError(OVER)
            if self.refused is not None:
                raise CarrierError(f"the server says: {self.refused.reason}")
            tunnel = self.tunnel
            if tunnel is None or tunnel.is_closed or tunnel is doubted:
                joined = await self._greet(maker, doubted)
                doubted = None
                if joined is not None:
                    return joined
                continue
            try:
                return await self._attach(maker.make(), tunnel)
            except CarrierError as error:
                # No answer at all tells nothing of the session.
                if not tunnel.is_closed and (error.status == 0 or not may_doubt):
                    raise
            doubted, may_doubt = tunnel, False
        raise CarrierError("the server neither goes on with the session nor begins another")

    async def _attach(self, carrier: Carrier, tunnel: Tunnel) -> Joined:
        session = tunnel.session
        number, message = session.attach(os.urandom(NONCE_BYTES), _now())
        try:
            answer = read_answer(await carrier.open(message))
            if answer.kind is not Kind.ATTACHED:
                raise CarrierError("the server does not know this session", UNKNOWN_STATUS)
            session.receive_attached(number, answer.body, _now())
            if number not in session.carriers:
                raise CarrierError("the session has given the carrier up meanwhile")
        except (RemoteProtocolError, CarrierError, asyncio.CancelledError) as error:
            carrier.abort()
            session.remove_carrier(number, _now())
            tunnel.settle()
            if isinstance(error, RemoteProtocolError):
                # A page of some box, with a status of success.
                raise CarrierError(error.reason, UNKNOWN_STATUS) from error
            raise
        return Joined(tunnel, number, carrier)

    # --- new sessions

    async def _greet(self, maker: Maker, former: Tunnel | None) -> Joined | None:
        """Begin a session, in place of `former`; None where there is another to attach to."""
        greeting = _Greeting()
        # A hello that has been sent may begin a session at the server, whoever still waits.
        task = self._tasks.create_task(self._answered(maker.make(), former, greeting))
        try:
            outcome = await asyncio.shield(task)
        except asyncio.CancelledError:
            greeting.is_abandoned = True
            raise
        if isinstance(outcome, HandshakeRefused):
            if outcome.status is Status.CLOCK:
                # The greeter has corrected its clock.
                return None
            if outcome.status not in PASSING:
                self.refused = outcome
            raise CarrierError(f"the server says: {outcome.reason}") from outcome
        if isinstance(outcome, CarrierError):
            raise outcome
        if isinstance(outcome, UnderpassError):
            raise CarrierError(str(outcome)) from outcome
        return outcome

    async def _answered(
        self, carrier: Carrier, former: Tunnel | None, greeting: _Greeting
    ) -> _Outcome:
        try:
            former_id = former.session.terms.session_id if former is not None else b""
            handshake = self._greeter.hello(former_id)
            answer = read_answer(await carrier.open(handshake.message))
            if answer.kind is not Kind.WELCOME:
                raise RemoteProtocolError("an answer to a hello that is none")
            greeted = self._greeter.welcomed(handshake, answer, _now())
        except (CarrierError, RemoteProtocolError, HandshakeRefused) as error:
            carrier.abort()
            return error
        except asyncio.CancelledError:
            carrier.abort()
            raise
        is_wanted = not greeting.is_abandoned and not greeted.has_former
        if is_wanted and (self.tunnel is former or self.tunnel is None or self.tunnel.is_closed):
            return self._adopt(greeted.session, carrier, former)
        await self._dismiss(greeted.session, carrier)
        return None

    def _adopt(self, session: Session, carrier: Carrier, former: Tunnel | None) -> Joined:
        if former is not None:
            former.abort(CloseCode.EXPIRED, FORGOTTEN)
        self.tunnel = Tunnel(session, self._watch)
        self._changed()
        return Joined(self.tunnel, 0, carrier)

    def _watch(self, event: CarrierEvent) -> None:
        if not isinstance(event, SessionClosed) or self.is_over:
            return
        if event.code != CloseCode.DONE:
            # Else the server has waited until all streams had ended.
            self._tell(SessionLost(event.reason))

    async def _dismiss(self, session: Session, carrier: Carrier) -> None:
        """End a session that nobody uses, so that the server need not keep it."""
        surplus = Tunnel(session)
        surplus.abort(CloseCode.DONE, "another carrier was quicker")
        try:
            with TimeLimit(DISMISS_SECONDS):
                await surplus.carry(0, carrier.run)
        except TimeoutError:
            # It ends at the server by its grace time.
            pass
        finally:
            carrier.abort()


def _now() -> float:
    return asyncio.get_running_loop().time()
