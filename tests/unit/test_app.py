"""One proxy process: its listeners told, its signals obeyed, its metrics beside it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import os
import re
import resource
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import uvloop

from tests.unit.frontends.http.dialogue import LOOPBACK, RawClient, origin
from underpass.address import ListenAddress
from underpass.app import (
    Process,
    loop_factory,
    proxy_maker,
    run_proxy,
    run_server,
    within_file_limit,
)
from underpass.errors import ConfigurationError
from underpass.log_writer import LogWriter
from underpass.observe import SLOT_BYTES, SLOTS, Counter, Counters, Observer
from underpass.options import Limits, ProxyOptions
from underpass.server_options import ServerOptions
from underpass.stopping import EXIT_INTERRUPTED
from underpass.worker import WorkerInheritance

HERE = ListenAddress("127.0.0.1", 0)
OPTIONS = ProxyOptions(listen=(HERE,), allow=LOOPBACK, limits=Limits(drain_timeout=5))
SECONDS = 10.0


async def echo(visitor: RawClient) -> None:
    await visitor.say(await visitor.exactly(4))
    await visitor.rest()


def connect(name: bytes) -> bytes:
    return b"CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (name, name)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.001)


class Running:
    """A process that runs in this test's loop."""

    def __init__(
        self, options: ProxyOptions, inheritance: WorkerInheritance | None, log: Path | None
    ) -> None:
        self.options = options
        self.loads: list[ProxyOptions | ConfigurationError] = []
        self.counters = Counters()
        self.log = LogWriter(log)
        observer = Observer(self.counters)
        self.process = Process(self.load, proxy_maker(inheritance), self.log, observer, inheritance)
        self.addresses: list[ListenAddress] = []
        self.metrics: list[ListenAddress] = []

    def load(self) -> ProxyOptions:
        answer = self.loads.pop() if self.loads else self.options
        if isinstance(answer, ConfigurationError):
            raise answer
        return answer

    @contextlib.asynccontextmanager
    async def client(self, address: ListenAddress | None = None) -> AsyncIterator[RawClient]:
        where = address or self.addresses[0]
        one = RawClient(*await asyncio.open_connection(where.host, where.port))
        try:
            yield one
        finally:
            await one.close()

    async def page(self, path: bytes) -> bytes:
        async with self.client(self.metrics[0]) as one:
            await one.say(b"GET %s HTTP/1.1\r\nHost: m\r\n\r\n" % path)
            return await one.rest()


def listening(text: str) -> list[ListenAddress]:
    return [ListenAddress.parse(found) for found in re.findall(r"listening http://(\S+)", text)]


@contextlib.asynccontextmanager
async def running(
    capfd: pytest.CaptureFixture[str],
    options: ProxyOptions = OPTIONS,
    *,
    code: int = 0,
    log: Path | None = None,
) -> AsyncIterator[Running]:
    """Run a process; at the end of the block it must end by itself, with `code`."""
    it = Running(options, None, log)
    said = ""
    async with asyncio.timeout(2 * SECONDS), asyncio.TaskGroup() as tasks:
        run = tasks.create_task(it.process.run(options))
        while not it.addresses:
            assert not run.done()
            await asyncio.sleep(0.001)
            said += capfd.readouterr().out
            it.addresses = listening(said)
        yield it
    assert run.result() == code
    it.log.close()


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


async def test_sigterm_ends_an_idle_process_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    async with running(capfd) as it, it.client() as one:
        await one.say(b"OPTIONS * HTTP/1.1\r\nHost: p\r\n\r\n")
        assert (await one.head()).startswith(b"HTTP/1.1 200 ")
        send(signal.SIGTERM)
        assert await one.rest() == b""
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(it.addresses[0].host, it.addresses[0].port)


async def test_sigterm_lets_a_tunnel_go_on_until_it_ends(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with origin(echo) as there, running(capfd) as it, it.client() as one:
        await one.say(connect(there.name))
        assert (await one.head()).startswith(b"HTTP/1.1 200 ")
        send(signal.SIGTERM)
        await it.process.stopping.wait()
        await one.say(b"ping")
        assert await one.exactly(4) == b"ping"


async def test_a_second_signal_ends_what_is_left(capfd: pytest.CaptureFixture[str]) -> None:
    async with origin(echo) as there, running(capfd) as it, it.client() as one:
        await one.say(connect(there.name))
        await one.head()
        send(signal.SIGTERM)
        await it.process.stopping.wait()
        send(signal.SIGTERM)
        with pytest.raises(ConnectionResetError):
            await one.rest()


async def test_the_drain_time_out_ends_what_is_left(capfd: pytest.CaptureFixture[str]) -> None:
    options = ProxyOptions(listen=(HERE,), allow=LOOPBACK, limits=Limits(drain_timeout=0.01))
    async with (
        origin(echo) as there,
        running(capfd, options) as it,
        it.client() as one,
    ):
        await one.say(connect(there.name))
        await one.head()
        send(signal.SIGTERM)
        with pytest.raises(ConnectionResetError):
            await one.rest()


async def test_ctrl_c_ends_with_its_code(capfd: pytest.CaptureFixture[str]) -> None:
    async with running(capfd, code=EXIT_INTERRUPTED):
        send(signal.SIGINT)


# --- the reload


async def test_sighup_takes_the_new_configuration(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO)
    log = tmp_path / "log"
    async with origin(echo) as there, running(capfd, log=log) as it:
        it.loads.append(ProxyOptions(listen=(HERE,), identity="other"))
        log.rename(tmp_path / "log.1")
        send(signal.SIGHUP)
        await until(lambda: it.counters.value(Counter.RELOADS) == 1)
        assert "a change of identity takes effect at the next start" in caplog.text
        assert "configuration reloaded" in caplog.text
        # The log was opened anew, as after it was rotated.
        assert log.exists()
        async with it.client() as one:
            await one.say(connect(there.name))
            assert (await one.head()).startswith(b"HTTP/1.1 403 ")
        send(signal.SIGTERM)


async def test_a_bad_new_configuration_is_refused_with_its_reason(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with origin(echo) as there, running(capfd) as it:
        it.loads.append(ConfigurationError("a.toml: proxy.log: expected text or json"))
        send(signal.SIGHUP)
        await until(lambda: it.counters.value(Counter.RELOAD_FAILURES) == 1)
        assert "configuration not changed: a.toml: proxy.log" in caplog.text
        async with it.client() as one:
            await one.say(connect(there.name))
            assert (await one.head()).startswith(b"HTTP/1.1 200 ")
        send(signal.SIGTERM)


# --- the metrics


def with_metrics() -> ProxyOptions:
    return ProxyOptions(
        listen=(HERE,), allow=LOOPBACK, metrics=HERE, limits=Limits(drain_timeout=5)
    )


async def find_metrics(it: Running, caplog: pytest.LogCaptureFixture) -> None:
    found = re.findall(r"metrics at http://(\S+)/metrics", caplog.text)
    it.metrics = [ListenAddress.parse(text) for text in found]


async def test_metrics_tell_what_happened_and_health_follows_the_drain(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with origin(echo) as there, running(capfd, with_metrics()) as it:
        await find_metrics(it, caplog)
        async with it.client() as one:
            await one.say(connect(there.name))
            await one.head()
            page = await it.page(b"/metrics")
            for line in (
                b"underpass_connections_open 1.0\n",
                b"underpass_connections_accepted_total 1.0\n",
                b"underpass_dials_total 1.0\n",
                b"underpass_dial_seconds_count 1.0\n",
                b"underpass_tunnels_open 1.0\n",
            ):
                assert line in page
            assert (await it.page(b"/healthz")).startswith(b"HTTP/1.1 200 ")
            send(signal.SIGTERM)
            await it.process.stopping.wait()
            assert (await it.page(b"/healthz")).startswith(b"HTTP/1.1 503 ")


async def test_metrics_are_no_destination_nor_after_a_reload(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with running(capfd, with_metrics()) as it:
        await find_metrics(it, caplog)

        def has_reloaded(count: int) -> Callable[[], bool]:
            return lambda: it.counters.value(Counter.RELOADS) == count

        for reloads in (1, 2):
            async with it.client() as one:
                await one.say(connect(b"127.0.0.1:%d" % it.metrics[0].port))
                assert b"proxy_loop_detected" in await one.rest()
            send(signal.SIGHUP)
            await until(has_reloaded(reloads))
        send(signal.SIGTERM)


async def test_metrics_that_cannot_be_served_start_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = ListenAddress("127.0.0.1", other.getsockname()[1])
        options = ProxyOptions(listen=(HERE,), metrics=taken)
        it = Running(options, None, None)
        with pytest.raises(ConfigurationError, match="in use"):
            await it.process.run(options)
        it.log.close()


# --- a worker


@contextlib.asynccontextmanager
async def worker(
    beside: tuple[ListenAddress, ...] = (), code: int = 0
) -> AsyncIterator[tuple[Running, socket.socket]]:
    """Run a process that inherits its listener, with the supervisor's end of its lifeline."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    ours, theirs = socket.socketpair()
    ours.settimeout(SECONDS)
    slots = memoryview(bytearray(SLOTS * SLOT_BYTES)).cast("q")
    with ours, theirs:
        inheritance = WorkerInheritance([listener], slots, 0, theirs.fileno(), beside)
        it = Running(OPTIONS, inheritance, None)
        it.addresses = [ListenAddress("127.0.0.1", listener.getsockname()[1])]
        async with asyncio.timeout(2 * SECONDS), asyncio.TaskGroup() as tasks:
            run = tasks.create_task(it.process.run(OPTIONS))
            assert await asyncio.to_thread(ours.recv, 1) == b"+"
            yield it, ours
        assert run.result() == code
        it.log.close()


async def test_a_worker_serves_what_it_inherits_and_announces_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with origin(echo) as there, worker() as (it, _):
        async with it.client() as one:
            await one.say(connect(there.name))
            assert (await one.head()).startswith(b"HTTP/1.1 200 ")
        assert capfd.readouterr().out == ""
        send(signal.SIGTERM)


async def test_a_worker_whose_supervisor_is_gone_drains_and_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with worker(code=1) as (_, lifeline):
        lifeline.close()
    assert "the supervisor is gone; draining" in caplog.text


async def test_where_the_supervisor_listens_is_no_destination() -> None:
    async with origin(echo) as there:
        beside = (ListenAddress("127.0.0.1", there.port),)
        async with worker(beside) as (it, _):
            async with it.client() as one:
                await one.say(connect(there.name))
                assert b"proxy_loop_detected" in await one.rest()
            send(signal.SIGTERM)
        assert there.accepted == 0


# --- around it


def visit_and_end(capfd: pytest.CaptureFixture[str]) -> None:
    """Say nonsense to what begins to listen in this process, and send the signal that ends it."""
    said: list[str] = []
    for _ in range(2000):
        said.append(capfd.readouterr().out)
        if found := listening("".join(said)):
            with socket.create_connection((found[0].host or "", found[0].port), SECONDS) as one:
                one.sendall(b"nonsense\r\n\r\n")
                one.recv(100)
            break
        threading.Event().wait(0.005)
    send(signal.SIGTERM)


def test_run_proxy_logs_serves_and_gives_the_exit_code(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = ProxyOptions(listen=(HERE,), log_file=tmp_path / "log")
    visitor = threading.Thread(target=visit_and_end, args=(capfd,))
    visitor.start()
    assert run_proxy(lambda: options) == 0
    visitor.join(SECONDS)
    assert " 400 " in (tmp_path / "log").read_text()


def test_run_server_serves_and_gives_the_exit_code(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = ServerOptions(listen=(HERE,), state=tmp_path, log_file=tmp_path / "log")
    visitor = threading.Thread(target=visit_and_end, args=(capfd,))
    visitor.start()
    assert run_server(lambda: options) == 0
    visitor.join(SECONDS)
    # Of strangers nothing is told.
    assert (tmp_path / "log").read_text() == ""


def test_uvloop_is_used_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert loop_factory() is uvloop.new_event_loop
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert loop_factory() is asyncio.new_event_loop


class FileLimit:
    """The system's limit on open files of this process."""

    def __init__(self, soft: int, hard: int, *, fixed: bool = False) -> None:
        self.limits = (soft, hard)
        self.fixed = fixed

    def getrlimit(self, _: int) -> tuple[int, int]:
        return self.limits

    def setrlimit(self, _: int, limits: tuple[int, int]) -> None:
        if self.fixed:
            raise ValueError("not permitted")
        self.limits = limits


@pytest.mark.parametrize(
    ("limit", "clients"),
    [
        (FileLimit(1024, 1024), (1024 - 64) // 2),
        (FileLimit(1024, 20_064), 10_000),
        (FileLimit(1024, 20_064, fixed=True), (1024 - 64) // 2),
        (FileLimit(16, 16), 1),
    ],
    ids=["as it is", "raised", "not permitted", "tiny"],
)
def test_clients_are_bounded_by_the_limit_on_files(
    monkeypatch: pytest.MonkeyPatch, limit: FileLimit, clients: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", limit.getrlimit)
    monkeypatch.setattr(resource, "setrlimit", limit.setrlimit)
    assert within_file_limit(ProxyOptions()).limits.max_connections == clients
    told = ProxyOptions(limits=Limits(max_connections=7))
    assert within_file_limit(told) is told
