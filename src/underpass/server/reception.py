"""`Reception`: a server's door. Opening messages come in, and who is known gets an answer.

What gets none at all looks like any visitor of an ordinary web site: what was not made with this
server's public key, replays, attaches to sessions that are not here or that prove nothing.

A hello that was made with the public key is answered even where nobody is let in. The key stands in
invites alone, so who has it knows already what is here; and a user who was removed, or whose invite
is used up, should read why. The answer is sealed for the one who asked.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial

from underpass.carriers.base import Admission
from underpass.errors import RemoteProtocolError, UserError
from underpass.observe import Counter, Counters
from underpass.protocol.attach import parse_attach
from underpass.protocol.handshake import ReceivedHello, ServerHandshake
from underpass.protocol.hello import (
    ClientHello,
    Limits,
    OtherHello,
    ServerHello,
    Status,
    negotiate,
)
from underpass.protocol.opening import FROM_CLIENT, Kind, Opening, OpeningReader
from underpass.protocol.replay_guard import ReplayGuard, Verdict
from underpass.protocol.session import Session
from underpass.protocol.session_terms import SessionTerms
from underpass.protocol.stream_table import StreamLimits
from underpass.server.enrolment import CodeFault
from underpass.server.hello_limit import HelloLimit
from underpass.server.members import Members
from underpass.server.serving import Visitor
from underpass.server.sessions import ServedSession, Sessions
from underpass.server.user_store import User

logger = logging.getLogger(__name__)

ALLOWED = Limits(initial_window=32 * 1024, streams=1024, grace=600, keepalive=30_000)
"""What a server grants each session unless told."""

MARK_BYTES = 4
SESSION_RANDOM_BYTES = 16
EPHEMERAL_BYTES = 32

_VERDICTS = {
    Verdict.CLOCK: (Status.CLOCK, "the clocks differ by more than 5 minutes"),
    Verdict.FULL: (Status.FULL, "too many clients come at once; try again in a moment"),
}


@dataclass(frozen=True, slots=True)
class ReceptionOptions:
    """`static_key` is the server's private key; `mark` begins the ids of this process's sessions.

    `wall` tells seconds since 1970, `clock` the time of sessions, in seconds. `hellos` is how many
    one address may say in a second; 0: no bound.
    """

    static_key: bytes = field(repr=False)
    allowed: Limits = ALLOWED
    mark: bytes = field(default_factory=lambda: os.urandom(MARK_BYTES))
    wall: Callable[[], float] = time.time
    hellos: float = 0
    counters: Counters = field(default_factory=Counters)


CLIENT: ContextVar[str] = ContextVar("client", default="-")
"""The address that a message comes from, for logs; set by who serves the stream it comes over."""


class _Refused(Exception):  # noqa: N818 - reads as what happened
    """Turns a client away; never leaves this module."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Reception:
    """See the module. `receive` is the `Door` of carriers; `clock` is that of the sessions."""

    def __init__(
        self,
        options: ReceptionOptions,
        members: Members,
        sessions: Sessions,
        clock: Callable[[], float],
    ) -> None:
        self._options = options
        # What the next session is granted.
        self.allowed = options.allowed
        self._members = members
        self._sessions = sessions
        self._clock = clock
        self._replays = ReplayGuard()
        self.hellos = HelloLimit(options.hellos, _tell_of_many)
        self.is_draining = False

    async def receive(self, message: bytes) -> Admission | None:
        """Answer a whole opening message; None for a stranger's.

        A hello costs a key agreement, 0.2 ms, before it can be told from noise: so one address may
        say only so many.
        """
        client = CLIENT.get()
        try:
            opening = _whole(message)
            if opening.kind is Kind.HELLO:
                if not self.hellos.take(client, self._clock()):
                    self._options.counters.add(Counter.HELLOS_SHED)
                    return None
                return await self._receive_hello(opening.body, client)
            return self._receive_attach(opening.body, client)
        except RemoteProtocolError:
            return None

    # --- attach

    def _receive_attach(self, body: bytes, client: str) -> Admission | None:
        attach = parse_attach(body)
        served = self._sessions.find(attach.session_id)
        if served is None:
            return None
        tunnel = served.tunnel
        answer = tunnel.session.accept_attach(attach, self._clock())
        tunnel.settle()
        served.visitor.client = client
        return Admission(answer, partial(tunnel.carry, attach.number))

    # --- hello

    async def _receive_hello(self, body: bytes, client: str) -> Admission | None:
        handshake = ServerHandshake(self._options.static_key)
        received = handshake.receive(body)
        now_ms = round(self._options.wall() * 1000)
        verdict = self._replays.admit(received.ephemeral, received.hello.timestamp, now_ms)
        if verdict is Verdict.REPLAYED:
            return None
        try:
            if verdict in _VERDICTS:
                raise _Refused(*_VERDICTS[verdict])
            user = await self._user_of(received)
            return self._welcome(handshake, received, user, client)
        except _Refused as refused:
            logger.info("a client from %s is turned away: %s", client, refused.reason)
            answer = handshake.refuse(
                refused.status, now_ms, refused.reason, os.urandom(EPHEMERAL_BYTES)
            )
            return Admission(answer)

    async def _user_of(self, received: ReceivedHello) -> User:
        """Whose key it is, enrolled just now if its code is good. Raises `_Refused`."""
        hello = received.hello
        if isinstance(hello, OtherHello):
            reason = f"version {hello.version} of the protocol is not spoken here"
            raise _Refused(Status.VERSION, reason)
        if self.is_draining:
            raise _Refused(Status.DRAINING, "the server is shutting down")
        try:
            found = await self._members.of_key(received.client_key)
            if found is None and hello.code:
                found = await self._enrol(received.client_key, hello.code)
        except UserError as error:
            logger.error("users: %s", error)
            raise _Refused(Status.FULL, "the users can't be read just now") from error
        if found is None:
            raise _Refused(Status.USER, "this client is not known here, or not any more")
        return found

    async def _enrol(self, public_key: bytes, code: bytes) -> User | None:
        found = await self._members.enrol(code, public_key, self._options.wall())
        if found is CodeFault.UNKNOWN:
            return None
        if isinstance(found, CodeFault):
            raise _Refused(Status.CODE, f"{found.value}; ask for another one")
        logger.info("a client of %s has enrolled its key", found.name)
        return found

    def _welcome(
        self, handshake: ServerHandshake, received: ReceivedHello, user: User, client: str
    ) -> Admission:
        hello = received.hello
        if not isinstance(hello, ClientHello) or not self._sessions.make_room(user):
            raise _Refused(Status.FULL, "there are too many sessions; try again later")
        held = negotiate(hello.limits, self.allowed)
        session_id = self._options.mark + os.urandom(SESSION_RANDOM_BYTES)
        former = self._sessions.find(hello.former)
        # Of a session of somebody else it is not even told that it is there.
        has_former = former is not None and former.visitor.public_key == received.client_key
        answer, keys = handshake.welcome(
            ServerHello(session_id, held, has_former=has_former), os.urandom(EPHEMERAL_BYTES)
        )
        terms = SessionTerms(
            session_id=session_id,
            own=StreamLimits(held.streams, held.initial_window),
            other=StreamLimits(hello.limits.streams, hello.limits.initial_window),
            grace=held.grace,
            keepalive=held.keepalive / 1000,
        )
        now = self._clock()
        session = Session(keys, terms, now, is_client=False)
        session.begin(now)
        served = ServedSession(session, Visitor(received.client_key, user.name, client))
        self._sessions.add(served)
        logger.info("a session of %s begins, from %s", user.name, client)
        return Admission(answer, partial(served.tunnel.carry, 0))


def _tell_of_many(source: str) -> None:
    logger.warning("too many hellos come from %s: for now some are not looked at", source)


def _whole(message: bytes) -> Opening:
    found = OpeningReader(FROM_CLIENT).receive_data(message)
    if found is None or found[1]:
        raise RemoteProtocolError("not one whole opening message")
    return found[0]
