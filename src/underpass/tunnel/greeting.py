"""`Greeter`: how a client begins sessions with one server, and comes back to them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from underpass.errors import RemoteProtocolError, UnderpassError
from underpass.protocol.handshake import ClientHandshake, Welcome
from underpass.protocol.hello import Capability, ClientHello, Limits, Status
from underpass.protocol.opening import FROM_SERVER, Opening, OpeningReader
from underpass.protocol.session import Session
from underpass.protocol.session_terms import SessionTerms
from underpass.protocol.stream_table import StreamLimits

WANTED = Limits(initial_window=32 * 1024, streams=1024, grace=600, keepalive=30_000)
"""What a client grants and wants unless told."""


# What its 64 bits hold: a server's clock may say anything.
LAST_TIMESTAMP = 2**64 - 1


class HandshakeRefused(UnderpassError):  # noqa: N818 - reads as what happened
    """The server knows us or our request, and says no: `status` and the reason are its own."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(f"the server does not let us in: {reason}")
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ClientIdentity:
    """A client's own key, the server's public key, and the invite code while it is not enrolled."""

    static_key: bytes = field(repr=False)
    server_key: bytes
    code: bytes = field(default=b"", repr=False)


class Greeter:
    """Makes handshakes for one client. `wall` tells seconds since 1970, as well as this machine."""

    def __init__(
        self,
        identity: ClientIdentity,
        wanted: Limits = WANTED,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._identity = identity
        self._wanted = wanted
        self._wall = wall
        # How far the server's clock is ahead of ours, in milliseconds, once it has said so.
        self._ahead = 0

    def hello(self, former: bytes = b"") -> ClientHandshake:
        """A new handshake; `former` is the id of a session that could not be resumed."""
        identity = self._identity
        hello = ClientHello(
            timestamp=min(max(0, round(self._wall() * 1000) + self._ahead), LAST_TIMESTAMP),
            limits=self._wanted,
            capabilities=Capability.DATAGRAMS,
            code=identity.code,
            former=former,
        )
        return ClientHandshake(identity.static_key, identity.server_key, hello, os.urandom(32))

    def welcomed(self, handshake: ClientHandshake, answer: Opening, now: float) -> Greeted:
        """Begin the session that the server's WELCOME agrees to; `now` is the session's clock.

        Raises `HandshakeRefused`, after which another try makes sense for CLOCK, FULL and DRAINING,
        and `RemoteProtocolError` for what is not this server's answer.
        """
        found = handshake.receive(answer.body)
        if not isinstance(found, Welcome):
            if found.status is Status.CLOCK:
                self._ahead = found.time - round(self._wall() * 1000)
            raise HandshakeRefused(found.status, found.reason)
        theirs, ours = found.hello.limits, self._wanted
        terms = SessionTerms(
            session_id=found.hello.session_id,
            own=StreamLimits(ours.streams, ours.initial_window),
            other=StreamLimits(theirs.streams, theirs.initial_window),
            grace=theirs.grace,
            keepalive=theirs.keepalive / 1000,
        )
        session = Session(found.keys, terms, now, is_client=True)
        session.begin(now)
        return Greeted(session, found.hello.has_former)


@dataclass(frozen=True, slots=True)
class Greeted:
    """A session that has begun, with carrier 0; `has_former`: the server still has the other."""

    session: Session
    has_former: bool


def read_answer(data: bytes) -> Opening:
    """A server's whole opening message. Raises `RemoteProtocolError` for anything else."""
    found = OpeningReader(FROM_SERVER).receive_data(data)
    if found is None or found[1]:
        raise RemoteProtocolError("not one whole opening message")
    return found[0]
