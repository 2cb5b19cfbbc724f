"""The composition root of one process: options, logs, counters, signals, and what they serve."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.util
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType
from typing import Generic, Protocol, TypeVar

from underpass.address import ListenAddress
from underpass.announce import announce
from underpass.errors import ConfigurationError
from underpass.log_writer import LogWriter
from underpass.logs import AccessLog, logging_to
from underpass.net.memory import keep_freed_memory
from underpass.net.open_files import raise_file_limit
from underpass.observe import Counter, Counters, Observer
from underpass.options import ProxyOptions
from underpass.proxy import Parts, Proxy
from underpass.server_options import ServerOptions
from underpass.stopping import Stopping
from underpass.worker import WorkerInheritance

logger = logging.getLogger(__name__)

Options = TypeVar("Options", ProxyOptions, ServerOptions)
OptionsIn = TypeVar("OptionsIn", ProxyOptions, ServerOptions, contravariant=True)

# Files that are no client's: listeners, logs, the user store, name look-ups, a margin.
RESERVED_FILES = 64

# A tunnel holds two files: the client's and the destination's.
FILES_PER_CLIENT = 2

# New objects between two looks for garbage in circles. A tunnel is some hundred, so Python's 700
# means a look every few clients, at all of them that are being served (docs/decisions/005).
GARBAGE_THRESHOLD = 10_000


class Program(Protocol[OptionsIn]):
    """What a process serves: `Proxy`, `TunnelServer`. Entering it raises `ConfigurationError`."""

    async def __aenter__(self) -> object:
        """Begin to accept."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        """End what is left."""

    @property
    def addresses(self) -> tuple[ListenAddress, ...]:
        """The addresses really bound."""

    def protect(self, listeners: Iterable[ListenAddress]) -> None:
        """Keep clients from these listeners too."""

    def stop_accepting(self) -> None:
        """Begin nothing new."""

    async def drain(self, timeout: float) -> None:
        """Wait until all that was begun has ended, for at most `timeout` seconds."""

    def end(self) -> None:
        """End what is left at once."""

    def reload(self, options: OptionsIn) -> list[str]:
        """Go by other options; returns those that only a restart can follow."""


def run_proxy(
    load: Callable[[], ProxyOptions], inheritance: WorkerInheritance | None = None
) -> int:
    """Run one proxy process until a signal ends it, and return its exit code.

    `load` reads the options, at the start and again at each SIGHUP. With `inheritance` it is one
    worker of several. Raises `ConfigurationError` where nothing was started.
    """
    return _run(load, proxy_maker(inheritance), inheritance)


def proxy_maker(
    inheritance: WorkerInheritance | None,
) -> Callable[[ProxyOptions, Observer], Program[ProxyOptions]]:
    """How a process makes its proxy, with the sockets it has inherited or with its own."""
    sockets = inheritance.sockets if inheritance else None
    return lambda options, observer: Proxy(options, Parts(observer=observer, sockets=sockets))


def run_server(load: Callable[[], ServerOptions]) -> int:
    """Run the tunnel's server in this process, as `run_proxy` does a proxy."""
    # A proxy does without all that a server is made of.
    from underpass.tunnel_server import ServerParts, TunnelServer  # noqa: PLC0415 - see above

    def make(options: ServerOptions, observer: Observer) -> Program[ServerOptions]:
        return TunnelServer(options, ServerParts(observer=observer))

    return _run(load, make)


def _run(
    load: Callable[[], Options],
    make: Callable[[Options, Observer], Program[Options]],
    inheritance: WorkerInheritance | None = None,
) -> int:
    options = within_file_limit(load())
    keep_freed_memory()
    counters = Counters(inheritance.counters if inheritance else None)
    with logging_to(options.log, options.log_file, counters) as log:
        observer = Observer(counters, AccessLog(log, options.log))
        process = Process(load, make, log, observer, inheritance)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            settle_heap()
            return runner.run(process.run(options))


def settle_heap() -> None:
    """Spare what was loaded for good from every further look for garbage, and look less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop's loop where it is installed, asyncio's otherwise: the same behaviour, slower."""
    if importlib.util.find_spec("uvloop") is None:
        return asyncio.new_event_loop
    import uvloop  # noqa: PLC0415 - optional

    return uvloop.new_event_loop


def within_file_limit(options: Options) -> Options:
    """Raise our limit on open files as far as allowed; bound the clients by it if they are not."""
    soft = raise_file_limit()
    if options.limits.max_connections:
        return options
    clients = max(1, (soft - RESERVED_FILES) // FILES_PER_CLIENT)
    return replace(options, limits=replace(options.limits, max_connections=clients))


@dataclass(slots=True)
class Process(Stopping, Generic[Options]):
    """One process: the first SIGTERM drains, a second ends, SIGHUP reloads."""

    load: Callable[[], Options]
    make: Callable[[Options, Observer], Program[Options]]
    log: LogWriter
    observer: Observer
    inheritance: WorkerInheritance | None = None
    # As the options in force have it: a reload may change it.
    drain_timeout: float = 0.0

    async def run(self, options: Options) -> int:
        """Serve until told to stop, drain, and return the exit code."""
        self.drain_timeout = options.limits.drain_timeout
        program = self.make(options, self.observer)
        if self.inheritance is not None:
            program.protect(self.inheritance.beside)
        async with program, self._metrics(program, options):
            with self.signals(partial(self._reload, program)), self._lifeline():
                self._tell_ready(program, options)
                await self.stopping.wait()
                program.stop_accepting()
                await self.unless_ended(program.drain(self.drain_timeout))
                program.end()
        return self.exit_code

    def _tell_ready(self, program: Program[Options], options: Options) -> None:
        if self.inheritance is not None:
            self.inheritance.ready()
            return
        for address in program.addresses:
            announce(address, tls=options.is_tls)

    @contextlib.asynccontextmanager
    async def _metrics(self, program: Program[Options], options: Options) -> AsyncIterator[None]:
        if options.metrics is None or self.inheritance is not None:
            yield
            return
        from underpass.metrics import MetricsServer  # noqa: PLC0415 - prometheus_client is heavy

        def is_healthy() -> bool:
            return not self.stopping.is_set()

        server = MetricsServer(self.observer.counters.snapshot, is_healthy)
        bound = await server.start(options.metrics)
        program.protect(bound)
        for address in bound:
            logger.info("metrics at http://%s/metrics", address)
        try:
            yield
        finally:
            await server.stop()

    @contextlib.contextmanager
    def _lifeline(self) -> Iterator[None]:
        """Within the block, drain when the supervisor is gone."""
        if self.inheritance is None:
            yield
            return
        loop = asyncio.get_running_loop()
        loop.add_reader(self.inheritance.ready_fd, self._supervisor_gone)
        try:
            yield
        finally:
            loop.remove_reader(self.inheritance.ready_fd)

    def _supervisor_gone(self) -> None:
        """The other end of our lifeline is closed: nobody would ever end us."""
        if self.inheritance is not None:
            asyncio.get_running_loop().remove_reader(self.inheritance.ready_fd)
        logger.error("the supervisor is gone; draining")
        self.stop(1)

    def _reload(self, program: Program[Options]) -> None:
        """Take the new configuration; a bad one is refused with its reason, and the old stays."""
        counters = self.observer.counters
        try:
            options = within_file_limit(self.load())
            self.log.reopen()
            for name in program.reload(options):
                logger.warning("a change of %s takes effect at the next start", name)
        except (ConfigurationError, OSError) as error:
            counters.add(Counter.RELOAD_FAILURES)
            logger.error("configuration not changed: %s", error)
            return
        self.drain_timeout = options.limits.drain_timeout
        counters.add(Counter.RELOADS)
        logger.info("configuration reloaded (process %d)", os.getpid())
