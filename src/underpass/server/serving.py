"""`StreamServer`: what a tunnel's client asks for, opened: a dial, a relay, an access record.

The policy is asked at every open, with the rules of the user as they are then.
"""

from __future__ import annotations

import asyncio
import collections
import logging
import time
from dataclasses import dataclass, field
from functools import partial

from underpass.access import Principal
from underpass.errors import DialError, Failure, Forbidden, StreamReset, UserError
from underpass.net.clock import TimeLimit
from underpass.net.ending import Ending, RelayTimeouts, Transfer
from underpass.net.joint import Joiner, Joint
from underpass.net.stream import Stream
from underpass.observe import AccessRecord, Counter, Observer
from underpass.outbound.guard import Guard
from underpass.protocol.frames import Kind
from underpass.server.members import Members
from underpass.server.standing import StandingStreams
from underpass.server.user_store import User
from underpass.tunnel.offer import Offer

logger = logging.getLogger(__name__)

# A client that opens all it may at once waits for its turn; one whose destinations are all silent
# keeps nobody else's dials waiting.
DIALS_AT_ONCE = 128

# What stands in the access log for the method of a request.
METHOD = "TUNNEL"

# The access line's word for a stream that stood when its session was ended from here.
CUT = "ended by this server"

# By name, as an enum's member costs ten times what a name does.
_TUNNELS = Counter.TUNNELS_OPEN.value


@dataclass(slots=True)
class Visitor:
    """Whose session it is: a user's key, and where its carriers came from last."""

    public_key: bytes
    name: str
    client: str
    dials: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(DIALS_AT_ONCE))
    standing: StandingStreams = field(default_factory=StandingStreams)


@dataclass(frozen=True, slots=True)
class ServingOptions:
    """`streams` is how many one user may have open at once, unless the user's own limit says."""

    relay: RelayTimeouts = field(default_factory=RelayTimeouts)
    streams: int = 4096


@dataclass(slots=True, eq=False)
class _Work:
    """One stream so far: `counted` is the user among whose open streams it counts.

    `joint` is there once it `stands` without the task that dialled for it.
    """

    visitor: Visitor
    address: str
    started: float
    status: int = 0
    # Its two ends, once it has been accepted.
    ends: tuple[Stream, ...] = ()
    sent: int = 0
    received: int = 0
    reason: str = ""
    counted: str = ""
    stands: bool = False
    joint: Joint | None = None

    def cut(self) -> None:
        """End it, which stands."""
        if self.joint is not None:
            self.joint.cut()

    def record(self, now: float) -> AccessRecord:
        return AccessRecord(
            user=self.visitor.name,
            client=self.visitor.client,
            method=METHOD,
            address=self.address,
            status=self.status,
            sent=self.sent,
            received=self.received,
            seconds=now - self.started,
            reason=self.reason,
        )


class StreamServer:
    """See the module; one for all sessions. `replace` takes effect with the next open."""

    def __init__(
        self, guard: Guard, members: Members, observer: Observer, options: ServingOptions
    ) -> None:
        self._guard = guard
        self._members = members
        self._observer = observer
        self._options = options
        self._joiner = Joiner(options.relay)
        self._open: collections.Counter[str] = collections.Counter()

    def replace(self, guard: Guard, options: ServingOptions) -> None:
        """Go by another policy and other options."""
        self._guard = guard
        self._options = options
        if options.relay != self._joiner.timeouts:
            # Streams that stand go on as they began.
            self._joiner = Joiner(options.relay)

    async def serve(self, offer: Offer, visitor: Visitor) -> None:
        """Answer one offer. A stream that is accepted then stands without this task."""
        work = _Work(visitor, str(offer.address), time.monotonic())
        try:
            await self._serve(offer, work)
        except DialError as error:
            offer.refuse(error)
            work.status, work.reason = error.failure.status, str(error)
            self._observer.counters.refused(error.failure)
        except StreamReset as error:
            work.reason = str(error)
        except asyncio.CancelledError:
            work.reason = CUT
            raise
        except Exception:
            # A bug of ours must not end the session's other streams.
            logger.exception("a stream to %s failed", work.address)
            failure = Failure.INTERNAL
            if not work.ends:
                offer.refuse(DialError(failure))
            for end in work.ends:
                end.abort()
            work.status, work.reason = failure.status, failure.phrase
        finally:
            if work.joint is None:
                self._over(work)

    async def _serve(self, offer: Offer, work: _Work) -> None:
        if offer.kind is not Kind.BYTES:
            raise DialError(Failure.NOT_IMPLEMENTED, "streams of datagrams are not served here")
        user = await self._user(work.visitor)
        most = user.limits.streams or self._options.streams
        if self._open[user.name] >= most:
            raise DialError(Failure.CONNECTION_LIMIT, f"{user.name} has {most} streams open")
        self._open[user.name] += 1
        work.counted = user.name
        principal = Principal(user.name, user.rules)
        async with work.visitor.dials:
            destination = await self._dial(principal, offer)
        try:
            stream = offer.accept(destination.peer)
        except StreamReset:
            destination.abort()
            raise
        work.status, work.ends = 200, (stream, destination)
        self._stand(work, stream, destination)

    async def _user(self, visitor: Visitor) -> User:
        key = visitor.public_key
        try:
            # What is remembered is there without a step more.
            user = self._members.remembered(key) or await self._members.of_key(key)
        except UserError as error:
            logger.error("users: %s", error)
            raise DialError(Failure.INTERNAL, "the users can't be read") from error
        if user is None:
            raise Forbidden(Failure.FORBIDDEN, f"there is no user {visitor.name} any more")
        return user

    async def _dial(self, principal: Principal, offer: Offer) -> Stream:
        """Dial what is asked for, until it is withdrawn. Raises `DialError`, `StreamReset`."""
        if offer.is_withdrawn:
            raise StreamReset("withdrawn by the other end")
        try:
            with TimeLimit(None) as withdrawal:
                offer.on_withdrawn(withdrawal.expire)
                return await self._guard.dial(principal, offer.address)
        except TimeoutError:
            raise StreamReset("withdrawn by the other end") from None

    def _stand(self, work: _Work, stream: Stream, destination: Stream) -> None:
        """Relay without a task: what is kept of it is `work`."""
        work.stands = True
        self._observer.counters.slots[_TUNNELS] += 1
        work.visitor.standing.add(work)
        work.joint = self._joiner.join(stream, destination, partial(self._ended, work))

    def _ended(self, work: _Work, transfer: Transfer) -> None:
        work.sent, work.received, ending = transfer
        work.reason = CUT if ending is Ending.CUT else ending.value
        self._over(work)

    def _over(self, work: _Work) -> None:
        """Let go of all that it held, and write its line."""
        if work.stands:
            self._observer.counters.slots[_TUNNELS] -= 1
            work.visitor.standing.discard(work)
        if name := work.counted:
            self._open[name] -= 1
            if not self._open[name]:
                del self._open[name]
        self._observer.access(work.record(time.monotonic()))
