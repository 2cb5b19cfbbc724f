"""The composition root of one process: options, logs, counters, signals, and the proxy in them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.util
import logging
import os
import resource
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace

from underpass.announce import announce
from underpass.errors import ConfigurationError
from underpass.log_writer import LogWriter
from underpass.logs import AccessLog, logging_to
from underpass.net.memory import keep_freed_memory
from underpass.observe import Counter, Counters, Observer
from underpass.options import ProxyOptions
from underpass.proxy import Parts, Proxy
from underpass.worker import WorkerInheritance

logger = logging.getLogger(__name__)

Load = Callable[[], ProxyOptions]

# Files that are no client's: listeners, logs, the user store, name look-ups, a margin.
RESERVED_FILES = 64

# A tunnel holds two files: the client's and the destination's.
FILES_PER_CLIENT = 2

EXIT_INTERRUPTED = 130

# New objects between two looks for garbage in circles. A tunnel is some hundred, so Python's 700
# means a look every few clients, at all of them that are being served (docs/decisions/005).
GARBAGE_THRESHOLD = 10_000


def run_proxy(load: Load, inheritance: WorkerInheritance | None = None) -> int:
    """Run one proxy process until a signal ends it, and return its exit code.

    `load` reads the options, at the start and again at each SIGHUP. With `inheritance` it is one
    worker of several. Raises `ConfigurationError` where nothing was started.
    """
    options = within_file_limit(load())
    keep_freed_memory()
    counters = Counters(inheritance.counters if inheritance else None)
    with logging_to(options.log, options.log_file, counters) as log:
        observer = Observer(counters, AccessLog(log, options.log))
        process = Process(load, log, observer, inheritance)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            _settle_heap()
            return runner.run(process.run(options))


def _settle_heap() -> None:
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


def within_file_limit(options: ProxyOptions) -> ProxyOptions:
    """Raise our limit on open files as far as allowed; bound the clients by it if they are not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    if options.limits.max_connections:
        return options
    clients = max(1, (soft - RESERVED_FILES) // FILES_PER_CLIENT)
    return replace(options, limits=replace(options.limits, max_connections=clients))


@dataclass(slots=True)
class Process:
    """One proxy process: the first SIGTERM drains, a second ends, SIGHUP reloads."""

    load: Load
    log: LogWriter
    observer: Observer
    inheritance: WorkerInheritance | None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    exit_code: int = 0
    # As the options in force have it: a reload may change it.
    drain_timeout: float = 0.0

    async def run(self, options: ProxyOptions) -> int:
        """Serve until told to stop, drain, and return the exit code."""
        sockets = self.inheritance.sockets if self.inheritance else None
        self.drain_timeout = options.limits.drain_timeout
        proxy = Proxy(options, Parts(observer=self.observer, sockets=sockets))
        if self.inheritance is not None:
            proxy.protect(self.inheritance.beside)
        async with proxy, self._metrics(proxy, options):
            with self._signals(proxy):
                self._tell_ready(proxy, options)
                await self.stopping.wait()
                proxy.stop_accepting()
                await self._drain(proxy, self.drain_timeout)
                proxy.end()
        return self.exit_code

    def _tell_ready(self, proxy: Proxy, options: ProxyOptions) -> None:
        if self.inheritance is not None:
            self.inheritance.ready()
            return
        for address in proxy.addresses:
            announce(address, tls=options.tls_cert is not None)

    async def _drain(self, proxy: Proxy, timeout: float) -> None:
        """Wait until the last client is gone, the time is over or a second signal came."""
        async with asyncio.TaskGroup() as tasks:
            drained = tasks.create_task(proxy.drain(timeout))
            ended = tasks.create_task(self.ending.wait())
            await asyncio.wait((drained, ended), return_when=asyncio.FIRST_COMPLETED)
            drained.cancel()
            ended.cancel()

    @contextlib.asynccontextmanager
    async def _metrics(self, proxy: Proxy, options: ProxyOptions) -> AsyncIterator[None]:
        if options.metrics is None or self.inheritance is not None:
            yield
            return
        from underpass.metrics import MetricsServer  # noqa: PLC0415 - prometheus_client is heavy

        def is_healthy() -> bool:
            return not self.stopping.is_set()

        server = MetricsServer(self.observer.counters.snapshot, is_healthy)
        bound = await server.start(options.metrics)
        proxy.protect(bound)
        for address in bound:
            logger.info("metrics at http://%s/metrics", address)
        try:
            yield
        finally:
            await server.stop()

    @contextlib.contextmanager
    def _signals(self, proxy: Proxy) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop, 0)
        loop.add_signal_handler(signal.SIGINT, self._stop, EXIT_INTERRUPTED)
        loop.add_signal_handler(signal.SIGHUP, self._reload, proxy)
        if self.inheritance is not None:
            loop.add_reader(self.inheritance.ready_fd, self._supervisor_gone)
        try:
            yield
        finally:
            if self.inheritance is not None:
                loop.remove_reader(self.inheritance.ready_fd)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)

    def _stop(self, exit_code: int) -> None:
        if self.stopping.is_set():
            self.ending.set()
        # Ctrl-C shows in the code, whichever signal comes after or before it.
        self.exit_code = max(self.exit_code, exit_code)
        self.stopping.set()

    def _supervisor_gone(self) -> None:
        """The other end of our lifeline is closed: nobody would ever end us."""
        if self.inheritance is not None:
            asyncio.get_running_loop().remove_reader(self.inheritance.ready_fd)
        logger.error("the supervisor is gone; draining")
        self._stop(1)

    def _reload(self, proxy: Proxy) -> None:
        """Take the new configuration; a bad one is refused with its reason, and the old stays."""
        counters = self.observer.counters
        try:
            options = within_file_limit(self.load())
            self.log.reopen()
            for name in proxy.reload(options):
                logger.warning("a change of %s takes effect at the next start", name)
        except (ConfigurationError, OSError) as error:
            counters.add(Counter.RELOAD_FAILURES)
            logger.error("configuration not changed: %s", error)
            return
        self.drain_timeout = options.limits.drain_timeout
        counters.add(Counter.RELOADS)
        logger.info("configuration reloaded (process %d)", os.getpid())
