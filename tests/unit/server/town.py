"""A server's inside without HTTP: store, members, sessions, door; and clients that come to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from tests.unit.frontends.http.dialogue import LOOPBACK
from underpass.access import Policy
from underpass.carriers.base import Admission, CarrierError, Feed, RunCarrier
from underpass.net.relay import RelayTimeouts
from underpass.net.resolve import Resolver
from underpass.observe import AccessRecord, Counters, Observer
from underpass.outbound.direct import Direct
from underpass.outbound.guard import Guard
from underpass.outbound.own_listeners import OwnListeners
from underpass.protocol.handshake import ClientHandshake, Welcome
from underpass.protocol.hello import Refusal, Status
from underpass.protocol.noise import public_key
from underpass.protocol.opening import Kind
from underpass.server.enrolment import CodeTerms, digest_of
from underpass.server.members import Members
from underpass.server.reception import Reception, ReceptionOptions
from underpass.server.serving import ServingOptions, StreamServer
from underpass.server.sessions import SessionBounds, Sessions
from underpass.server.user_store import SqliteUserStore, User
from underpass.tunnel.greeting import ClientIdentity, Greeter, read_answer
from underpass.tunnel.tunnel import Tunnel

SERVER_KEY = b"\x11" * 32
# The wall clock of the server and of a client that has not been told another.
WALL = 1_700_000_000.0
DAY = 24 * 3600


class Wall:
    """A clock on the wall that a test sets."""

    def __init__(self) -> None:
        self.now = WALL

    def __call__(self) -> float:
        return self.now


class Town:
    """See the module."""

    def __init__(self, directory: Path, tasks: asyncio.TaskGroup) -> None:
        self.store = SqliteUserStore(directory)
        self.members = Members(self.store)
        self.records: list[AccessRecord] = []
        self.counters = Counters()
        self.wall = Wall()
        observer = Observer(self.counters, self.records.append)
        direct = Direct(Resolver(5.0))
        self.guard = Guard(Policy(LOOPBACK), direct, OwnListeners(), self.counters)
        self.server = StreamServer(
            self.guard, self.members, observer, ServingOptions(RelayTimeouts())
        )
        self.sessions = Sessions(self.server, tasks, SessionBounds(), self.counters)
        options = ReceptionOptions(SERVER_KEY, wall=self.wall, counters=self.counters)
        self.reception = Reception(
            options, self.members, self.sessions, asyncio.get_running_loop().time
        )

    def user(self, name: str = "alice") -> User:
        """A user of the store, made if there is none."""
        if (user := self.store.user(name)) is None:
            user = User(name)
            self.store.add(user)
        return user

    def code(self, name: str = "alice", uses: int = 1, days: float = 7) -> bytes:
        """A new code for a user."""
        self.user(name)
        code = os.urandom(16)
        terms = CodeTerms(uses, int(WALL + days * DAY), int(WALL))
        self.store.add_invite(name, digest_of(code), terms)
        return code

    def client(self, code: bytes = b"", key: bytes | None = None) -> Client:
        """A client that knows the server's public key; with a key of its own unless told."""
        return Client(self, code, key or os.urandom(32))

    def member(self, name: str = "alice") -> Client:
        """A client that is enrolled as `name`."""
        code = self.code(name)
        client = self.client()
        self.store.enrol(digest_of(code), client.public_key, int(WALL))
        return client


class Client:
    """One client, as far as the door can see."""

    def __init__(self, town: Town, code: bytes, key: bytes) -> None:
        self._town = town
        self._key = key
        self.public_key = public_key(key)
        self.identity = ClientIdentity(key, public_key(SERVER_KEY), code)
        self.greeter = Greeter(self.identity, wall=town.wall)

    def hello(self, former: bytes = b"") -> ClientHandshake:
        """A handshake whose message may be given to the door."""
        return self.greeter.hello(former)

    async def knock(self, former: bytes = b"") -> tuple[Welcome | Refusal, Admission]:
        """Say hello; what the server answers, which must be an answer."""
        handshake = self.hello(former)
        admission = await self._town.reception.receive(handshake.message)
        assert admission is not None
        answer = read_answer(admission.answer)
        assert answer.kind is Kind.WELCOME
        return handshake.receive(answer.body), admission

    async def status(self) -> Status | None:
        """The status that a hello is refused with; None for a welcome."""
        answer, _ = await self.knock()
        return answer.status if isinstance(answer, Refusal) else None

    async def enter(self, former: bytes = b"") -> tuple[Tunnel, Admission]:
        """Begin a session; its tunnel at this end, and the carrier that waits to be carried."""
        handshake = self.hello(former)
        admission = await self._town.reception.receive(handshake.message)
        assert admission is not None
        now = asyncio.get_running_loop().time()
        greeted = self.greeter.welcomed(handshake, read_answer(admission.answer), now)
        return Tunnel(greeted.session), admission

    @contextlib.asynccontextmanager
    async def tunnel(self) -> AsyncIterator[Tunnel]:
        """A tunnel with one carrier, for as long as the block."""
        tunnel, admission = await self.enter()
        async with carried(tunnel, 0, admission):
            yield tunnel


@contextlib.asynccontextmanager
async def carried(tunnel: Tunnel, number: int, admission: Admission) -> AsyncIterator[None]:
    """Join both ends of a carrier in memory; at the end of the block the carrier is cut."""
    up: asyncio.Queue[bytes] = asyncio.Queue()
    down: asyncio.Queue[bytes] = asyncio.Queue()
    async with asyncio.TaskGroup() as tasks:
        here = tasks.create_task(tunnel.carry(number, _half(up, down)))
        there = tasks.create_task(_carry(admission, _half(down, up)))
        # A task that is cancelled before it has begun would carry nothing.
        await asyncio.sleep(0)
        try:
            yield
        finally:
            here.cancel()
            there.cancel()


async def _carry(admission: Admission, run: RunCarrier) -> None:
    assert admission.carry is not None
    await admission.carry(run)


def _half(outgoing: asyncio.Queue[bytes], incoming: asyncio.Queue[bytes]) -> RunCarrier:
    async def send(feed: Feed) -> None:
        while True:
            if records := feed.take(1 << 20):
                outgoing.put_nowait(b"".join(records))
            else:
                await feed.output()

    async def receive(feed: Feed) -> None:
        while True:
            feed.receive(await incoming.get())

    async def run(feed: Feed) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(send(feed))
                tasks.create_task(receive(feed))
        except* CarrierError as errors:
            raise CarrierError(str(errors.exceptions[0])) from None

    return run


@contextlib.asynccontextmanager
async def town(directory: Path) -> AsyncIterator[Town]:
    """A server's inside, for as long as the block; its sessions end with it."""
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        it = Town(directory, tasks)
        try:
            yield it
        finally:
            it.sessions.abort_all()
            it.members.close()
