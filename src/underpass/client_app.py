"""The composition root of the client's commands: options, logs, signals, tunnel and front ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from underpass.announce import say
from underpass.app import loop_factory, settle_heap
from underpass.client.control import Status, answering, socket_path
from underpass.client.front_ends import FrontEnds, Listeners
from underpass.client.login import ClientLogin
from underpass.client.profile import ClientSetup
from underpass.client.telling import Telling
from underpass.client.tunnel import ClientTunnel, Passage
from underpass.client_options import ClientOptions
from underpass.config import read_secret
from underpass.errors import ConfigurationError
from underpass.log_writer import LogWriter
from underpass.logs import AccessLog, logging_to
from underpass.net.memory import keep_freed_memory
from underpass.net.open_files import raise_file_limit
from underpass.observe import Counter, Counters, Observer
from underpass.stopping import Stopping
from underpass.tunnel.greeting import HandshakeRefused
from underpass.tunnel.keeper import TunnelDown, TunnelUp

logger = logging.getLogger(__name__)

# What is under way when the client is told to end may take so long; a second signal ends it.
DRAIN_SECONDS = 10.0

# Options that a running client can't follow.
RESTART = ("log", "state")


Load = Callable[[], ClientSetup]


def run_client(load: Load) -> int:
    """Run a client until a signal ends it, and return its exit code.

    `load` reads profile and options, at the start and again at each SIGHUP. Raises
    `ConfigurationError` where nothing was started, `HandshakeRefused` with the server's reason.
    """
    setup = load()
    keep_freed_memory()
    raise_file_limit()
    counters = Counters()
    options = setup.options
    with logging_to(options.log, options.log_file, counters) as log:
        observer = Observer(counters, AccessLog(log, options.log))
        process = ClientProcess(load, setup, log, observer)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            settle_heap()
            return runner.run(process.run())


def listeners_of(options: ClientOptions) -> Listeners:
    """Where to listen, as the options say. Raises `ConfigurationError`."""
    login = None
    if options.login_file is not None:
        login = ClientLogin.parse(read_secret(options.login_file))
    return Listeners(options.socks, options.http, options.forward, login)


@dataclass(slots=True)
class ClientProcess(Stopping):
    """One client: the first SIGTERM drains, a second ends, SIGHUP reads everything again."""

    load: Load
    setup: ClientSetup
    log: LogWriter
    observer: Observer
    reloading: asyncio.Event = field(default_factory=asyncio.Event)
    up_since: float | None = None
    _telling: Telling = field(default_factory=Telling)

    async def run(self) -> int:
        """Serve until told to stop, drain, and return the exit code."""
        profile, options = self.setup.profile, self.setup.options
        listeners = listeners_of(options)
        tunnel = ClientTunnel(profile, Passage.of(options), self._tell)
        path = socket_path(profile.path, options.state)
        async with (
            tunnel,
            FrontEnds(listeners, tunnel.open, self.observer, tunnel.open) as front_ends,
            answering(path, lambda: self._status(tunnel, front_ends)),
        ):
            for listening in front_ends.listening:
                say(f"listening {listening}")
            with self.signals(self.reloading.set):
                refused = await self._until_stopped(tunnel, front_ends)
                front_ends.stop_accepting()
                if refused is None:
                    await self.unless_ended(front_ends.drain(DRAIN_SECONDS))
        if refused is not None:
            raise refused
        return self.exit_code

    async def _until_stopped(
        self, tunnel: ClientTunnel, front_ends: FrontEnds
    ) -> HandshakeRefused | None:
        async with asyncio.TaskGroup() as tasks:
            reloads = tasks.create_task(self._reloads(tunnel, front_ends))
            refused = tasks.create_task(tunnel.refused())
            stopped = tasks.create_task(self.stopping.wait())
            await asyncio.wait((refused, stopped), return_when=asyncio.FIRST_COMPLETED)
            found = refused.result() if refused.done() else None
            for task in (refused, stopped, reloads):
                task.cancel()
        return found

    # --- what is told

    def _tell(self, event: TunnelUp | TunnelDown) -> None:
        if isinstance(event, TunnelUp):
            self.up_since = time.time()
            say(self._telling.up(event))
            return
        self.up_since = None
        if (why := self._telling.down(event)) is not None:
            logger.warning("%s", why)

    def _status(self, tunnel: ClientTunnel, front_ends: FrontEnds) -> Status:
        keeper, counters = tunnel.keeper, self.observer.counters
        return {
            "server": str(tunnel.profile.url),
            "user": tunnel.profile.name,
            "up": keeper.carrier is not None,
            "carrier": keeper.carrier,
            "delay": round(keeper.delay, 6),
            "since": self.up_since,
            "streams": keeper.tunnel.stream_count if keeper.tunnel is not None else 0,
            "clients": front_ends.client_count,
            "sent": counters.value(Counter.BYTES_SENT),
            "received": counters.value(Counter.BYTES_RECEIVED),
            "listening": [str(one) for one in front_ends.listening],
            "process": os.getpid(),
        }

    # --- reading again

    async def _reloads(self, tunnel: ClientTunnel, front_ends: FrontEnds) -> None:
        while True:
            await self.reloading.wait()
            self.reloading.clear()
            await self._reload(tunnel, front_ends)

    async def _reload(self, tunnel: ClientTunnel, front_ends: FrontEnds) -> None:
        """Read everything again, go by it as far as that goes, and look at the network anew."""
        before = front_ends.listening
        try:
            setup = self.load()
            # Where it keeps what it knows stays as it is, with the socket that it answers at.
            passage = replace(Passage.of(setup.options), state=self.setup.options.state)
            plan = await tunnel.plan(passage)
            front_ends.replace(listeners_of(setup.options))
        except ConfigurationError as error:
            self.observer.counters.add(Counter.RELOAD_FAILURES)
            logger.error("configuration not changed: %s", error)
            return
        if tunnel.is_other(plan):
            tunnel.replace(plan)
        tunnel.keeper.woke()
        for listening in front_ends.listening:
            if listening not in before:
                say(f"listening {listening}")
        self._follow_log(setup)
        for what in self._unfollowed(setup):
            logger.warning("a change of %s takes effect at the next start", what)
        self.setup = setup
        self.observer.counters.add(Counter.RELOADS)
        logger.info("configuration read again (process %d)", os.getpid())

    def _follow_log(self, setup: ClientSetup) -> None:
        path = setup.options.log_file
        try:
            self.log.move(path)
        except OSError as error:
            logger.error("the log stays where it is: log_file: %s: %s", path, error.strerror)

    def _unfollowed(self, setup: ClientSetup) -> list[str]:
        """What of it a running client can't go by."""
        now, was = setup.options, self.setup.options
        unfollowed = [name for name in RESTART if getattr(now, name) != getattr(was, name)]
        if replace(setup.profile, code=b"") != replace(self.setup.profile, code=b""):
            unfollowed.append("the profile's server or key")
        return unfollowed


def complain(line: str) -> None:
    """Say something on standard error, where a command's own output is another's."""
    with contextlib.suppress(OSError):
        print(f"underpass: {line}", file=sys.stderr, flush=True)
