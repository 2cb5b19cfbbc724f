"""The supervisor with real worker processes that do little (`fake_worker.py`)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from underpass import supervisor
from underpass.address import ListenAddress
from underpass.errors import ConfigurationError
from underpass.log_writer import LogWriter
from underpass.observe import SLOTS, Counter, Counters
from underpass.options import Limits, ProxyOptions
from underpass.supervisor import Inheritance, Supervisor, supervise
from underpass.worker import counters_bytes

FAKE = Path(__file__).with_name("fake_worker.py")
ANY_PORT = (ListenAddress("127.0.0.1", 0),)


def command(behaviour: str = "") -> list[str]:
    return [sys.executable, str(FAKE), behaviour]


async def ask(address: ListenAddress, word: str = "who") -> tuple[int, int]:
    """Ask a worker for its slot and process id."""
    opened = (
        asyncio.open_unix_connection(address.path)
        if address.path is not None
        else asyncio.open_connection(address.host, address.port)
    )
    async with asyncio.timeout(10):
        reader, writer = await opened
        writer.write(word.encode())
        answer = await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    slot, process = answer.split() or (b"-1", b"-1")
    return int(slot), int(process)


async def fetch(address: ListenAddress, path: str) -> str:
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    return answer.decode()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


class Running:
    """A supervisor that runs in this test's loop."""

    def __init__(self, options: ProxyOptions, behaviour: str = "", log: Path | None = None) -> None:
        self.options = options
        self.loads: list[ProxyOptions | ConfigurationError] = []
        self.estate = Inheritance(options)
        self.counters = Counters()
        self.log = LogWriter(log)
        self.supervisor = Supervisor(
            self.load, command(behaviour), self.estate, self.counters, self.log
        )

    def load(self) -> ProxyOptions:
        answer = self.loads.pop() if self.loads else self.options
        if isinstance(answer, ConfigurationError):
            raise answer
        return answer

    @property
    def address(self) -> ListenAddress:
        return self.estate.bound[0]

    def count(self, counter: Counter) -> int:
        return self.supervisor.snapshot().counters[counter]


@contextlib.asynccontextmanager
async def running(
    options: ProxyOptions, behaviour: str = "", *, stop: bool = True
) -> AsyncIterator[Running]:
    """Run a supervisor; at the end of the block send SIGTERM and expect exit code 0."""
    it = Running(options, behaviour)
    with it.estate:
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            run = tasks.create_task(it.supervisor.run())
            await until(lambda: it.supervisor.announced)
            yield it
            if stop:
                os.kill(os.getpid(), signal.SIGTERM)
        if stop:
            assert run.result() == 0
    it.log.close()


async def test_addresses_are_announced_when_all_workers_accept(
    capfd: pytest.CaptureFixture[str],
) -> None:
    options = ProxyOptions(listen=ANY_PORT * 2, workers=2)
    async with running(options) as it:
        first, second = it.estate.bound
        assert first.port != second.port
        out = capfd.readouterr().out
        assert out == f"listening http://{first}\nlistening http://{second}\n"
        for address in it.estate.bound:
            slots = {(await ask(address))[0] for _ in range(40)}
            assert slots == {0, 1}
        assert it.count(Counter.CONNECTIONS_ACCEPTED) == 80
        assert it.supervisor.is_healthy()
    assert not it.supervisor.is_healthy()
    with pytest.raises(ConnectionRefusedError):
        await ask(first)


async def test_a_dead_worker_is_replaced_and_no_waiting_connection_is_lost() -> None:
    async with running(ProxyOptions(listen=ANY_PORT, workers=1)) as it:
        _, before = await ask(it.address)
        assert await ask(it.address, "die") == (-1, -1)
        # These connect while nobody accepts, and wait in the socket that the supervisor keeps.
        answers = await asyncio.gather(*(ask(it.address) for _ in range(20)))
        assert {slot for slot, _ in answers} == {0}
        assert before not in {process for _, process in answers}
        # Counters go on over the death, gauges start at zero.
        assert it.count(Counter.CONNECTIONS_ACCEPTED) == 22
        assert it.count(Counter.CONNECTIONS_OPEN) == 0


async def test_the_pause_grows_and_starts_anew_after_a_stable_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running(ProxyOptions(listen=ANY_PORT, workers=1)) as it:
        place = it.supervisor.places[0]
        await ask(it.address, "die")
        await ask(it.address)
        assert place.pause == 2 * supervisor.FIRST_PAUSE
        monkeypatch.setattr(supervisor, "STABLE_SECONDS", 0.0)
        await ask(it.address, "die")
        await ask(it.address)
        assert place.pause == 2 * supervisor.FIRST_PAUSE


async def test_a_unix_socket_is_shared_and_removed_at_the_end(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "s"
    listen = (ListenAddress(None, 0, str(path)),)
    async with running(ProxyOptions(listen=listen, workers=2)) as it:
        assert capfd.readouterr().out == f"listening unix:{path}\n"
        assert (await ask(it.address))[0] in (0, 1)
    assert not path.exists()


async def test_a_worker_that_cannot_start_ends_it_all_with_its_code() -> None:
    it = Running(ProxyOptions(listen=ANY_PORT, workers=2), "fail")
    with it.estate:
        assert await it.supervisor.run() == 7
    assert not it.supervisor.announced
    it.log.close()


async def test_a_worker_that_does_not_get_ready_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "START_SECONDS", 0.1)
    it = Running(ProxyOptions(listen=ANY_PORT, workers=1), "mute")
    with it.estate:
        assert await it.supervisor.run() == 1
    it.log.close()


async def test_ctrl_c_ends_with_130() -> None:
    async with running(ProxyOptions(listen=ANY_PORT, workers=1), stop=False) as it:
        os.kill(os.getpid(), signal.SIGINT)
    assert it.supervisor.exit_code == 130


async def test_a_second_signal_reaches_workers_that_still_drain() -> None:
    async with running(ProxyOptions(listen=ANY_PORT, workers=1), "stubborn", stop=False) as it:
        os.kill(os.getpid(), signal.SIGTERM)
        await it.supervisor.stopping.wait()
        process = it.supervisor.places[0].process
        assert process is not None
        await asyncio.sleep(0.1)
        assert process.poll() is None
        os.kill(os.getpid(), signal.SIGTERM)
    assert it.supervisor.exit_code == 0


async def test_a_worker_that_does_not_end_in_time_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "KILL_SECONDS", 0.1)
    options = ProxyOptions(listen=ANY_PORT, workers=1, limits=Limits(drain_timeout=0.0))
    async with running(options, "deaf"):
        pass


async def test_a_stop_ends_the_pause_before_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE", 30.0)
    async with running(ProxyOptions(listen=ANY_PORT, workers=1)) as it:
        it.supervisor.places[0].pause = 30.0
        await ask(it.address, "die")
        await until(lambda: it.supervisor.places[0].process is None)


async def test_a_reload_reaches_every_worker() -> None:
    async with running(ProxyOptions(listen=ANY_PORT, workers=2)) as it:
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: it.count(Counter.RELOADS) == 2)


async def test_a_bad_new_configuration_goes_no_further(caplog: pytest.LogCaptureFixture) -> None:
    async with running(ProxyOptions(listen=ANY_PORT, workers=1)) as it:
        it.loads.append(ConfigurationError("a.toml: proxy.log: expected text or json"))
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: it.count(Counter.RELOAD_FAILURES) == 1)
        assert it.count(Counter.RELOADS) == 0
        assert "configuration not changed: a.toml: proxy.log" in caplog.text
        await ask(it.address)


async def test_what_a_reload_cannot_change_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async with running(ProxyOptions(listen=ANY_PORT, workers=1)) as it:
        it.loads.append(ProxyOptions(listen=ANY_PORT, workers=2))
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: it.count(Counter.RELOADS) == 1)
        assert "a change of workers takes effect at the next start" in caplog.text


async def test_a_worker_that_starts_during_a_reload_reloads_too() -> None:
    async with running(ProxyOptions(listen=ANY_PORT, workers=1)) as it:
        place = it.supervisor.places[0]
        await ask(it.address, "die")
        await until(lambda: place.process is not None and not place.ready)
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: place.ready)
        await until(lambda: it.count(Counter.RELOADS) == 1)


def test_an_address_in_use_is_refused_although_it_could_be_shared() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        listen = (*ANY_PORT, ListenAddress("127.0.0.1", port))
        with pytest.raises(ConfigurationError, match="in use"):
            Inheritance(ProxyOptions(listen=listen, workers=2))


def test_a_second_supervisor_on_the_same_address_is_refused() -> None:
    with Inheritance(ProxyOptions(listen=ANY_PORT, workers=2)) as first:
        listen = (first.bound[0],)
        with pytest.raises(ConfigurationError, match="in use"):
            Inheritance(ProxyOptions(listen=listen, workers=2))


def test_a_known_port_is_bound_once_a_worker() -> None:
    with Inheritance(ProxyOptions(listen=ANY_PORT, workers=1)) as free:
        listen = tuple(free.bound)
    with Inheritance(ProxyOptions(listen=listen, workers=3)) as estate:
        assert [len(sockets) for sockets in estate.sockets] == [1, 1, 1]
        assert tuple(estate.bound) == listen


def test_counters_are_shared_without_memfd_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with Inheritance(ProxyOptions(listen=ANY_PORT, workers=2)) as estate:
        assert [len(slots) for slots in estate.counters] == [SLOTS, SLOTS]
        assert os.fstat(estate.counters_fd).st_size == counters_bytes(2)


def test_supervise_opens_the_log_and_gives_the_exit_code(tmp_path: Path) -> None:
    options = ProxyOptions(listen=ANY_PORT, workers=1, log_file=tmp_path / "log")
    assert supervise(lambda: options, command("fail")) == 7
    assert "worker 0 could not start (exit code 7)" in (tmp_path / "log").read_text()


def test_run_workers_runs_this_program(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def fake(load: supervisor.Load, argv: list[str]) -> int:
        seen.append(argv)
        return 0

    monkeypatch.setattr(supervisor, "supervise", fake)
    assert supervisor.run_workers(ProxyOptions, ["proxy", "--workers", "2"]) == 0
    assert seen == [[sys.executable, "-P", "-m", "underpass", "proxy", "--workers", "2"]]


async def test_metrics_of_all_workers_are_served(capfd: pytest.CaptureFixture[str]) -> None:
    options = ProxyOptions(listen=ANY_PORT, workers=2, metrics=ANY_PORT[0])
    async with running(options) as it:
        (metrics,) = it.supervisor.metrics
        for _ in range(20):
            await ask(it.address)
        text = await fetch(metrics, "/metrics")
        assert "underpass_connections_accepted_total 20.0" in text
        assert (await fetch(metrics, "/healthz")).startswith("HTTP/1.1 200 ")
        await ask(it.address, "die")
        await until(lambda: not it.supervisor.is_healthy())
        assert (await fetch(metrics, "/healthz")).startswith("HTTP/1.1 503 ")
