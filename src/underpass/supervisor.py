"""Several workers on the same addresses, kept running and added up.

The supervisor binds every address once a worker (SO_REUSEPORT: the kernel deals connections out),
keeps those sockets open and hands each worker its own. So a worker that dies loses what it served
and nothing else: connections that wait in its socket's queue are taken by the next one. The
counters lie in memory that all workers share, a stretch each.

::

    start ──> all ready: addresses printed ──> SIGTERM ──> sockets closed, workers drain ──> end
                 │  ^
                 └──┘ a worker ends: started again after a pause that grows
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import mmap
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from underpass.address import ListenAddress
from underpass.announce import announce
from underpass.errors import ConfigurationError
from underpass.log_writer import LogWriter
from underpass.logs import logging_to
from underpass.net.listen import bind, listening_on
from underpass.observe import SLOTS, Counter, Counters, Snapshot
from underpass.options import ProxyOptions
from underpass.worker import VARIABLE, bequeath, counters_bytes

_LOG = logging.getLogger(__name__)

# A worker imports, reads its configuration and binds nothing: more than this is a hang.
START_SECONDS = 30.0

# The pause before a dead worker is started again: at first hardly any, for one that keeps dying
# no more than twice a minute.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 30.0

# A worker that lived this long was well: the next pause starts anew.
STABLE_SECONDS = 60.0

# Beyond the drain time-out, before a worker that does not end is killed.
KILL_SECONDS = 5.0

Load = Callable[[], ProxyOptions]


def run_workers(load: Load, argv: Sequence[str]) -> int:
    """Run `load().processes` workers of ``underpass ARGV`` until a signal ends them.

    Returns the exit code. Raises `ConfigurationError` where nothing was started.
    """
    # -P: a module in the directory that we happen to be in is not ours.
    return supervise(load, [sys.executable, "-P", "-m", "underpass", *argv])


def supervise(load: Load, command: Sequence[str]) -> int:
    """As `run_workers`, with the whole command of a worker."""
    options = load()
    own = Counters()
    with logging_to(options.log, options.log_file, own) as log, Inheritance(options) as estate:
        return asyncio.run(Supervisor(load, command, estate, own, log).run())


class Inheritance:
    """What the workers will get: listening sockets for each and the shared counters."""

    def __init__(self, options: ProxyOptions) -> None:
        """Bind all of ``options.listen``. Raises `ConfigurationError`."""
        self.options = options
        self.count = options.processes
        self.sockets: list[list[socket.socket]] = [[] for _ in range(self.count)]
        self.bound: list[ListenAddress] = []
        with contextlib.ExitStack() as undo:
            undo.callback(self.close_sockets)
            for address in options.listen:
                self._bind(address)
            undo.pop_all()
        self.counters_fd = _shared_memory(counters_bytes(self.count))
        self._map = mmap.mmap(self.counters_fd, 0)
        shared = memoryview(self._map).cast("q")
        self.counters = [shared[i * SLOTS : (i + 1) * SLOTS] for i in range(self.count)]

    def _bind(self, address: ListenAddress) -> None:
        if address.path is not None:
            shared = bind(address)[0]
            self.bound.append(listening_on(shared))
            for sockets in self.sockets:
                sockets.append(shared)
            return
        if address.port:
            # With SO_REUSEPORT a second proxy would take a share of the connections, unnoticed.
            for probe in bind(address):
                probe.close()
        for first in bind(address, reuse_port=True):
            really = listening_on(first)
            self.bound.append(really)
            self.sockets[0].append(first)
            for sockets in self.sockets[1:]:
                sockets.extend(bind(really, reuse_port=True))

    def __enter__(self) -> Inheritance:
        return self

    def __exit__(self, *_: object) -> None:
        self.close_sockets()
        for address in self.bound:
            if address.path is not None:
                with contextlib.suppress(OSError):
                    os.unlink(address.path)
        os.close(self.counters_fd)

    def close_sockets(self) -> None:
        """Let go of the sockets: what the workers close is closed from then on."""
        for sockets in self.sockets:
            while sockets:
                sockets.pop().close()


def _shared_memory(size: int) -> int:
    """A descriptor of `size` zero bytes that processes can share."""
    if sys.platform == "linux":
        descriptor = os.memfd_create("underpass-counters")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.truncate(descriptor, size)
    return descriptor


@dataclass(slots=True)
class _Place:
    """One worker's place: the process there now, if any, and how it fares."""

    slot: int
    process: subprocess.Popen[bytes] | None = None
    ready: bool = False
    pause: float = FIRST_PAUSE
    # The configuration that this worker may have read is this old or newer.
    generation: int = 0


@dataclass(slots=True)
class Supervisor:
    """Keeps the workers running; see the module's text."""

    load: Load
    command: Sequence[str]
    estate: Inheritance
    counters: Counters
    log: LogWriter
    places: list[_Place] = field(default_factory=list)
    # Where metrics are served.
    metrics: list[ListenAddress] = field(default_factory=list)
    announced: bool = False
    exit_code: int = 0
    generation: int = 0
    # As the options in force have it: a reload may change it.
    drain_timeout: float = 0.0
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> int:
        """Start the workers, serve until a signal, wait until all ended; the exit code."""
        self.places = [_Place(slot) for slot in range(self.estate.count)]
        self.drain_timeout = self.estate.options.limits.drain_timeout
        with self._signals():
            async with self._metrics(), asyncio.TaskGroup() as tasks:
                tasks.create_task(self._end_late_ones())
                async with asyncio.TaskGroup() as workers:
                    for place in self.places:
                        workers.create_task(self._keep(place))
                self.ended.set()
        return self.exit_code

    # --- workers

    async def _keep(self, place: _Place) -> None:
        """Run a worker at `place` for as long as the supervisor runs."""
        loop = asyncio.get_running_loop()
        while not self.stopping.is_set():
            started = loop.time()
            code = await self._run_worker(place)
            Counters(self.estate.counters[place.slot]).reset_gauges()
            if self.stopping.is_set():
                return
            if not self.announced:
                _LOG.error("worker %d could not start (exit code %d)", place.slot, code)
                self.exit_code = code if code > 0 else 1
                self._stop(signal.SIGTERM)
                return
            if loop.time() - started >= STABLE_SECONDS:
                place.pause = FIRST_PAUSE
            # Half to all of the pause: workers that died together do not start together.
            pause = place.pause * random.uniform(0.5, 1)
            place.pause = min(place.pause * 2, LONGEST_PAUSE)
            _LOG.warning(
                "worker %d ended (exit code %d); another starts in %.1f s", place.slot, code, pause
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), pause)

    async def _run_worker(self, place: _Place) -> int:
        """Run one process from its start to its end; its exit code."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours:
            with theirs:
                place.generation = self.generation
                place.process = self._spawn(place.slot, theirs.fileno())
            try:
                if await _says_ready(ours):
                    self._became_ready(place)
                    await _ended(ours)
                else:
                    _signal(place.process, signal.SIGKILL)
                # The lifeline ends with the process, or moments before.
                return await asyncio.to_thread(place.process.wait)
            finally:
                _signal(place.process, signal.SIGKILL)
                place.process, place.ready = None, False

    def _spawn(self, slot: int, ready: int) -> subprocess.Popen[bytes]:
        sockets = [sock.fileno() for sock in self.estate.sockets[slot]]
        inherited = bequeath(sockets, self.estate.counters_fd, slot, ready, self.metrics)
        # Not asyncio's: its signals and its waiting fight over who learns the exit code.
        return subprocess.Popen(
            self.command,
            env={**os.environ, VARIABLE: inherited},
            stdin=subprocess.DEVNULL,
            pass_fds=[*sockets, self.estate.counters_fd, ready],
            # Ctrl-C of a terminal reaches the supervisor alone, which passes it on once.
            process_group=0,
        )

    def _became_ready(self, place: _Place) -> None:
        place.ready = True
        if place.generation != self.generation:
            # It may have read its configuration before the change.
            _signal(place.process, signal.SIGHUP)
        if not self.announced and self.is_healthy():
            self.announced = True
            for address in self.estate.bound:
                announce(address, tls=self.estate.options.tls_cert is not None)

    # --- signals

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        actions = {
            signal.SIGTERM: lambda: self._stop(signal.SIGTERM),
            signal.SIGINT: lambda: self._stop(signal.SIGINT),
            signal.SIGHUP: self._reload,
        }
        for number, action in actions.items():
            loop.add_signal_handler(number, action)
        try:
            yield
        finally:
            for number in actions:
                loop.remove_signal_handler(number)

    def _stop(self, number: signal.Signals) -> None:
        """Let the workers drain; the second time, end at once."""
        if number is signal.SIGINT:
            self.exit_code = 130
        if not self.stopping.is_set():
            self.stopping.set()
            # Before the workers close theirs: a queue that nobody serves would hold clients.
            self.estate.close_sockets()
        for place in self.places:
            # One that is not ready has accepted nothing yet: nothing to drain.
            _signal(place.process, signal.SIGTERM if place.ready else signal.SIGKILL)

    async def _end_late_ones(self) -> None:
        """Kill what is left some time after the drain time-out of the workers."""
        await self.stopping.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.drain_timeout + KILL_SECONDS):
                await self.ended.wait()
        for place in self.places:
            _signal(place.process, signal.SIGKILL)

    def _reload(self) -> None:
        """Check the new configuration and let the workers take it; a bad one goes no further."""
        try:
            options = self.load()
            self.log.reopen()
        except (ConfigurationError, OSError) as error:
            self.counters.add(Counter.RELOAD_FAILURES)
            _LOG.error("configuration not changed: %s", error)
            return
        for name in ("listen", "workers", "metrics", "log", "log_file"):
            if getattr(options, name) != getattr(self.estate.options, name):
                _LOG.warning("a change of %s takes effect at the next start", name)
        self.drain_timeout = options.limits.drain_timeout
        self.generation += 1
        for place in self.places:
            if place.ready:
                place.generation = self.generation
                _signal(place.process, signal.SIGHUP)

    # --- metrics

    @contextlib.asynccontextmanager
    async def _metrics(self) -> AsyncIterator[None]:
        address = self.estate.options.metrics
        if address is None:
            yield
            return
        from underpass.metrics import MetricsServer  # noqa: PLC0415 - prometheus_client is heavy

        server = MetricsServer(self.snapshot, self.is_healthy)
        self.metrics = await server.start(address)
        for really in self.metrics:
            _LOG.info("metrics at http://%s/metrics", really)
        try:
            yield
        finally:
            await server.stop()

    def snapshot(self) -> Snapshot:
        """The counters of all workers, and our own, added up."""
        return Snapshot.read([*self.estate.counters, self.counters.slots])

    def is_healthy(self) -> bool:
        """Whether every worker accepts."""
        return not self.stopping.is_set() and all(place.ready for place in self.places)


async def _says_ready(lifeline: socket.socket) -> bool:
    try:
        async with asyncio.timeout(START_SECONDS):
            return bool(await asyncio.get_running_loop().sock_recv(lifeline, 1))
    except TimeoutError:
        return False


async def _ended(lifeline: socket.socket) -> None:
    """Wait until the worker's end of the lifeline is closed."""
    while await asyncio.get_running_loop().sock_recv(lifeline, 1):
        continue


def _signal(process: subprocess.Popen[bytes] | None, number: signal.Signals) -> None:
    if process is not None:
        process.send_signal(number)
