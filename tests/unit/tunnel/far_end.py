"""A server in memory, and scripted carriers to it: what opens, what stands, what is cut when."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import ClassVar

from underpass.carriers.base import Carrier, CarrierError, Feed
from underpass.errors import StreamError
from underpass.net.stream import Stream
from underpass.protocol.attach import make_unknown, parse_attach
from underpass.protocol.handshake import ServerHandshake
from underpass.protocol.hello import ClientHello, Limits, ServerHello, Status, negotiate
from underpass.protocol.noise import public_key
from underpass.protocol.opening import Kind, OpeningReader
from underpass.protocol.session import Session
from underpass.protocol.session_terms import SessionTerms
from underpass.protocol.stream_table import StreamLimits
from underpass.tunnel.greeting import ClientIdentity, Greeter, HandshakeRefused
from underpass.tunnel.keeper import Keeper, TunnelEvent
from underpass.tunnel.tunnel import Tunnel

ALLOWED = Limits(initial_window=32 * 1024, streams=1024, grace=600, keepalive=30_000)
PIECE = 64 * 1024


class FarEnd:
    """The server: begins sessions, attaches to them, echoes what its streams bring."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.key = os.urandom(32)
        self.tunnels: dict[bytes, Tunnel] = {}
        # What every hello is refused with, if anything.
        self.refusal: tuple[Status, str] | None = None
        self.hellos = 0
        self.attaches = 0
        self.tasks = tasks
        self._ids = itertools.count(1)
        self._running: list[asyncio.Task[None]] = []

    @property
    def open_sessions(self) -> list[bytes]:
        """The ids of the sessions that have not ended."""
        return [one for one, tunnel in self.tunnels.items() if not tunnel.is_closed]

    def restart(self) -> None:
        """Forget everything, as a server does that is killed and started anew."""
        self.tunnels.clear()

    def receive(self, message: bytes, now: float) -> tuple[bytes, Tunnel | None, int]:
        """Answer an opening message: the answer, and the tunnel and number that follow it."""
        found = OpeningReader().receive_data(message)
        assert found is not None
        opening, _ = found
        if opening.kind is Kind.HELLO:
            return self._hello(opening.body, now)
        attach = parse_attach(opening.body)
        self.attaches += 1
        tunnel = self.tunnels.get(attach.session_id)
        if tunnel is None or tunnel.is_closed:
            return make_unknown(attach.session_id), None, 0
        answer = tunnel.session.accept_attach(attach, now)
        return answer, tunnel, attach.number

    def _hello(self, body: bytes, now: float) -> tuple[bytes, Tunnel | None, int]:
        self.hellos += 1
        handshake = ServerHandshake(self.key)
        hello = handshake.receive(body).hello
        assert isinstance(hello, ClientHello)
        if self.refusal is not None:
            status, reason = self.refusal
            return handshake.refuse(status, 1_000_000, reason, os.urandom(32)), None, 0
        session_id = b"session-%d" % next(self._ids)
        limits = negotiate(hello.limits, ALLOWED)
        former = self.tunnels.get(hello.former)
        answer = ServerHello(
            session_id, limits, has_former=former is not None and not former.is_closed
        )
        message, keys = handshake.welcome(answer, os.urandom(32))
        terms = SessionTerms(
            session_id,
            StreamLimits(limits.streams, limits.initial_window),
            StreamLimits(hello.limits.streams, hello.limits.initial_window),
            grace=limits.grace,
            keepalive=limits.keepalive / 1000,
        )
        session = Session(keys, terms, now, is_client=False)
        session.begin(now)
        tunnel = self.tunnels[session_id] = Tunnel(session)
        self._running.append(self.tasks.create_task(self._serve(tunnel)))
        return message, tunnel, 0

    async def _serve(self, tunnel: Tunnel) -> None:
        while True:
            stream = (await tunnel.accept()).accept()
            self._running.append(self.tasks.create_task(self._echo(stream)))

    async def _echo(self, stream: Stream) -> None:
        with contextlib.suppress(StreamError):
            while data := await stream.receive():
                await stream.send(data)
            await stream.send_eof()

    def end(self) -> None:
        for task in self._running:
            task.cancel()


@dataclass
class Way:
    """How carriers of one kind fare. All can be changed while they run; times in seconds.

    `fails`: opening raises it. `hangs`: opening never ends. `is_mute`: it opens, and nothing comes
    back. `life`: it is cut after so long. `is_prompt` is that of its carriers.
    What goes up with `held_bytes` or more takes `hold_seconds`.
    """

    name: str
    delay: float = 0.01
    fails: CarrierError | None = None
    hangs: bool = False
    is_mute: bool = False
    life: float | None = None
    is_prompt: bool = True
    held_bytes: int = 0
    hold_seconds: float = 0.0
    made: int = 0
    running: list[ScriptedCarrier] = field(default_factory=list)

    def cut(self) -> None:
        """Cut every carrier of this kind."""
        for carrier in list(self.running):
            carrier.cut()

    def strand(self) -> None:
        """The network forgets them: nothing comes any more, and nothing says so."""
        for carrier in self.running:
            carrier.is_deaf = True


class ScriptedCarrier(Carrier):
    """Goes one way to a far end."""

    name: ClassVar[str] = "scripted"
    is_prompt: ClassVar[bool] = True

    def __init__(self, way: Way, far_end: FarEnd) -> None:
        self.way = way
        self._far_end = far_end
        self._tunnel: Tunnel | None = None
        self._number = 0
        self._cut: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_aborted = False
        # Swallows what goes over it, both ways.
        self.is_deaf = False

    async def open(self, message: bytes) -> bytes:
        await asyncio.sleep(self.way.delay)
        if self.way.hangs:
            await asyncio.sleep(15)
            raise CarrierError("no answer in 15 s")
        if self.way.fails is not None:
            raise self.way.fails
        now = asyncio.get_running_loop().time()
        answer, self._tunnel, self._number = self._far_end.receive(message, now)
        await asyncio.sleep(self.way.delay)
        return answer

    async def run(self, feed: Feed) -> None:
        assert self._tunnel is not None
        self.way.running.append(self)
        if self.way.life is not None:
            asyncio.get_running_loop().call_later(self.way.life, self.cut)
        there: asyncio.Future[Feed] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.TaskGroup() as tasks:
                other = tasks.create_task(self._tunnel.carry(self._number, self._half(there)))
                far_feed = await there
                tasks.create_task(self._pump(feed, far_feed, is_up=True))
                if not self.way.is_mute:
                    tasks.create_task(self._pump(far_feed, feed))
                await self._cut
                other.cancel()
                raise CarrierError("cut")
        except* CarrierError as errors:
            raise errors.exceptions[0] from None
        finally:
            self.way.running.remove(self)

    def _half(self, there: asyncio.Future[Feed]) -> Callable[[Feed], asyncio.Future[None]]:
        def run(feed: Feed) -> asyncio.Future[None]:
            there.set_result(feed)
            # Lasts until the client's half ends.
            return asyncio.get_running_loop().create_future()

        return run

    async def _pump(self, source: Feed, sink: Feed, *, is_up: bool = False) -> None:
        while True:
            records = source.take(PIECE)
            if records:
                data = b"".join(records)
                is_held = is_up and len(data) >= self.way.held_bytes
                await asyncio.sleep(self.way.delay + (self.way.hold_seconds if is_held else 0.0))
                if not self.is_deaf:
                    sink.receive(data)
            else:
                await source.output()

    def cut(self) -> None:
        if not self._cut.done():
            self._cut.set_result(None)

    def abort(self) -> None:
        self.is_aborted = True


class SlowCarrier(ScriptedCarrier):
    """The same, whose silence means little."""

    is_prompt: ClassVar[bool] = False


@dataclass
class ScriptedMaker:
    """Makes them."""

    way: Way
    far_end: FarEnd

    @property
    def name(self) -> str:
        return self.way.name

    def make(self) -> Carrier:
        self.way.made += 1
        kind = ScriptedCarrier if self.way.is_prompt else SlowCarrier
        return kind(self.way, self.far_end)


@dataclass
class Stage:
    """A keeper, its ways and the far end; `told` is what it has said, and when."""

    keeper: Keeper
    far_end: FarEnd
    ways: list[Way]
    told: list[TunnelEvent]
    running: asyncio.Task[BaseException | None]

    def replace(self, *ways: Way, first: int | None = None) -> None:
        """Have the keeper go on over these instead."""
        self.ways = list(ways)
        self.keeper.replace([ScriptedMaker(way, self.far_end) for way in ways], first)

    @property
    def carrying(self) -> list[str]:
        return [way.name for way in self.ways for _ in way.running]

    async def end(self) -> BaseException | None:
        """Wait until the keeper has ended by itself; why."""
        return await asyncio.wait_for(self.running, 10)

    async def until_up(self, name: str, seconds: float = 60.0) -> None:
        """Wait until the tunnel is up over the kind `name`."""
        async with asyncio.timeout(seconds):
            while self.keeper.carrier != name:
                await asyncio.sleep(0.01)


async def _outcome(keeper: Keeper) -> BaseException | None:
    try:
        await keeper.run()
    except HandshakeRefused as refused:
        return refused
    return None


@contextlib.asynccontextmanager
async def stage(*ways: Way, first: int | None = None) -> AsyncIterator[Stage]:
    """A keeper that runs over these ways, best first."""
    async with asyncio.TaskGroup() as tasks:
        far_end = FarEnd(tasks)
        identity = ClientIdentity(os.urandom(32), public_key(far_end.key))
        told: list[TunnelEvent] = []
        makers = [ScriptedMaker(way, far_end) for way in ways]
        keeper = Keeper(Greeter(identity), makers, told.append, first)
        running = tasks.create_task(_outcome(keeper))
        try:
            yield Stage(keeper, far_end, list(ways), told, running)
        finally:
            running.cancel()
            await asyncio.wait((running,))
            far_end.end()
