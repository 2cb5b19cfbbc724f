"""The sessions that a server holds: found by id, bounded, ended when their user is.

::

    Reception ── add ──> Sessions ── run ──> ServedSession ── each offer ──> StreamServer
        └──── find, for an attach ───┘
"""

from __future__ import annotations

import asyncio
import collections
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from underpass.errors import UserError
from underpass.observe import Counter, Counters
from underpass.protocol.frames import CloseCode
from underpass.protocol.session import Session
from underpass.protocol.session_events import CarrierStands, SessionDetached
from underpass.protocol.session_state import DETACHED
from underpass.server.members import Members
from underpass.server.serving import StreamServer, Visitor
from underpass.server.user_store import User
from underpass.tunnel.driver import CarrierEvent
from underpass.tunnel.tunnel import Tunnel

logger = logging.getLogger(__name__)

# How often the user store and the sessions without carriers are looked at: a removed user's
# sessions end within a second of it.
CHECK_SECONDS = 0.5

# A session that no stream has ever been asked for is kept so long without a carrier. A client that
# begins several sessions at once keeps one, and a network that is gone for a minute comes back.
UNUSED_SECONDS = 120.0

Tick = Callable[[], Awaitable[None]]


async def _tick() -> None:
    await asyncio.sleep(CHECK_SECONDS)


@dataclass(frozen=True, slots=True)
class SessionBounds:
    """How many sessions there may be: in all, and of one user unless the user's own limit says."""

    total: int = 4096
    per_user: int = 64


class ServedSession:
    """One session of a client: its tunnel, and whose it is."""

    def __init__(self, session: Session, visitor: Visitor) -> None:
        self.visitor = visitor
        self.tunnel = Tunnel(session, self._carrier_event)
        self.is_used = False
        # Whether anything has ever come from the client but its hello.
        self.has_stood = False
        # On the loop's clock: when it began, or of the last time that all carriers were gone.
        self.idle_since = asyncio.get_running_loop().time()

    def __repr__(self) -> str:
        return f"<ServedSession {self.visitor.name} {self.tunnel.session}>"

    @property
    def id(self) -> bytes:
        """The session's id."""
        return self.tunnel.session.terms.session_id

    @property
    def is_detached(self) -> bool:
        """Whether it has no carrier."""
        return self.tunnel.session.state in DETACHED

    async def run(self, server: StreamServer) -> None:
        """Serve its streams until it is over."""
        async with asyncio.TaskGroup() as tasks:
            accepting = tasks.create_task(self._accept(server, tasks), name="accepting")
            try:
                await self.tunnel.closed()
            except asyncio.CancelledError:
                self.visitor.standing.cut()
                raise
            finally:
                accepting.cancel()
                self.tunnel.abort(CloseCode.SHUTDOWN, "the server has ended")
        await self.visitor.standing.wait_empty()

    async def _accept(self, server: StreamServer, tasks: asyncio.TaskGroup) -> None:
        while True:
            offer = await self.tunnel.accept()
            self.is_used = True
            tasks.create_task(server.serve(offer, self.visitor), name="stream")

    def _carrier_event(self, event: CarrierEvent) -> None:
        if isinstance(event, CarrierStands):
            self.has_stood = True
        elif isinstance(event, SessionDetached):
            self.idle_since = asyncio.get_running_loop().time()


class Sessions:
    """See the module. Each session is a task of `tasks`."""

    def __init__(
        self,
        server: StreamServer,
        tasks: asyncio.TaskGroup,
        bounds: SessionBounds,
        counters: Counters | None = None,
    ) -> None:
        self.bounds = bounds
        self._server = server
        self._tasks = tasks
        self._counters = counters or Counters()
        self._by_id: dict[bytes, ServedSession] = {}
        self._per_user: collections.Counter[str] = collections.Counter()
        self._has_new = False
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[ServedSession]:
        return iter(list(self._by_id.values()))

    def find(self, session_id: bytes) -> ServedSession | None:
        """The session with this id."""
        return self._by_id.get(session_id)

    def make_room(self, user: User) -> bool:
        """Whether `user` may begin a session now.

        At a bound the session that is without a carrier for longest makes room, as its client has
        most likely begun anew; or else one over which nothing has come, as clients begin several
        and keep the first that works. One that is in use never does.
        """
        most = user.limits.sessions or self.bounds.per_user
        if self._per_user[user.name] >= most:
            mine = [served for served in self if served.visitor.name == user.name]
            if not self._drop_one(mine):
                return False
        return len(self) < self.bounds.total or self._drop_one(list(self))

    def _drop_one(self, candidates: list[ServedSession]) -> bool:
        detached = [served for served in candidates if served.is_detached]
        idle = detached or [served for served in candidates if not served.has_stood]
        if not idle:
            return False
        oldest = min(idle, key=lambda served: served.idle_since)
        self._drop(oldest, CloseCode.LIMIT, "another session took its place")
        return True

    def add(self, served: ServedSession) -> None:
        """Serve a session from now on until it is over."""
        self._by_id[served.id] = served
        self._per_user[served.visitor.name] += 1
        self._has_new = True
        self._empty.clear()
        self._counters.add(Counter.SESSIONS_BEGUN)
        self._counters.add(Counter.SESSIONS_OPEN)
        self._tasks.create_task(self._run(served), name=f"session of {served.visitor.name}")

    async def _run(self, served: ServedSession) -> None:
        try:
            await served.run(self._server)
            closed = await served.tunnel.closed()
            logger.info("a session of %s has ended: %s", served.visitor.name, closed.reason)
        except Exception:
            # The one broad catch of this task: a bug ends this session, and nobody else's.
            logger.exception("a session of %s failed", served.visitor.name)
        finally:
            self._forget(served)

    def _forget(self, served: ServedSession) -> None:
        if self._by_id.pop(served.id, None) is None:
            return
        self._counters.add(Counter.SESSIONS_OPEN, -1)
        name = served.visitor.name
        self._per_user[name] -= 1
        if not self._per_user[name]:
            del self._per_user[name]
        if not self._by_id:
            self._empty.set()

    # --- ends

    async def watch(self, members: Members, tick: Tick = _tick) -> None:
        """End the sessions of removed users, and those nobody uses; at each `tick`, for ever."""
        version: object = None
        while True:
            await tick()
            self.drop_unused(asyncio.get_running_loop().time())
            try:
                # One that has begun since the last look may be of a user removed in that moment.
                if self._has_new or version != members.version():
                    version = members.version()
                    await self.check_users(members)
            except UserError as error:
                # Looked at again in a moment; until then nobody new comes in either.
                version = None
                logger.error("users: %s", error)

    async def check_users(self, members: Members) -> None:
        """End the sessions whose key is not its user's any more. Raises `UserError`."""
        self._has_new = False
        looked_at = list(self)
        owners = await members.owners()
        for served in looked_at:
            if owners.get(served.visitor.public_key) != served.visitor.name:
                self._drop(served, CloseCode.USER_REMOVED, "the user was removed")

    def drop_user(self, name: str) -> None:
        """End all sessions of a user at once."""
        for served in self:
            if served.visitor.name == name:
                self._drop(served, CloseCode.USER_REMOVED, "the user was removed")

    def drop_unused(self, now: float) -> None:
        """End sessions without a carrier that were never used; `now` is the clock of the loop."""
        for served in self:
            is_over = now - served.idle_since >= UNUSED_SECONDS
            if served.is_detached and not served.is_used and is_over:
                self._drop(served, CloseCode.EXPIRED, "it was never used")

    def _drop(self, served: ServedSession, code: CloseCode, reason: str) -> None:
        served.tunnel.abort(code, reason)
        # At once: no attach may find it any more.
        self._forget(served)

    def go_away(self) -> None:
        """Let each session end once its streams have; no stream begins any more."""
        for served in self:
            served.tunnel.session.close(CloseCode.SHUTDOWN, "the server is shutting down")
            served.tunnel.settle()

    def abort_all(self) -> None:
        """End every session at once."""
        for served in self:
            self._drop(served, CloseCode.SHUTDOWN, "the server has shut down")

    async def wait_empty(self) -> None:
        """Wait until there is no session."""
        await self._empty.wait()
