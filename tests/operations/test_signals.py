"""SIGTERM drains, a second one ends, SIGINT says so: with one process and with workers."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operations.client import Client, client, health
from tests.origins import HttpOrigin, LoopThread
from tests.origins.http import SLOW_PIECE
from tests.real.conftest import StartProxy
from tests.real.processes import ProxyProcess, accepts, wait_until

pytestmark = pytest.mark.slow

LOOPBACK = ("--allow", "127.0.0.0/8")

# What an end needs on a machine that does much else; far below the drain time-out of 30 s.
SOON = 8.0


@pytest.fixture(params=[1, 2], ids=["one process", "workers"])
def proxy(request: pytest.FixtureRequest, start_proxy: StartProxy) -> ProxyProcess:
    return start_proxy(*LOOPBACK, "--workers", str(request.param))


@pytest.fixture
def tunnel(proxy: ProxyProcess, echo: str) -> Iterator[Client]:
    """An open tunnel to the echo."""
    with client(proxy.port) as one:
        assert one.tunnel(echo).startswith("HTTP/1.1 200")
        assert one.echoes()
        yield one


def ends_with(proxy: ProxyProcess, seconds: float = SOON) -> int:
    return proxy.process.wait(seconds)


def stop(proxy: ProxyProcess, number: signal.Signals = signal.SIGTERM) -> None:
    """Send the signal, and wait until it is obeyed: nobody is let in any more."""
    proxy.process.send_signal(number)
    wait_until(lambda: not accepts(proxy.port), "new clients are refused")


def test_sigterm_ends_an_idle_proxy(proxy: ProxyProcess) -> None:
    proxy.process.send_signal(signal.SIGTERM)
    assert ends_with(proxy) == 0


def test_sigint_ends_with_130(proxy: ProxyProcess) -> None:
    proxy.process.send_signal(signal.SIGINT)
    assert ends_with(proxy) == 130


def test_client_that_waits_between_requests_does_not_hold_the_end_up(
    proxy: ProxyProcess, echo: str
) -> None:
    with client(proxy.port) as idle, client(proxy.port) as silent:
        head, _ = idle.get(f"{echo.replace(':', '.invalid:')}/")
        assert head
        stop(proxy)
        assert ends_with(proxy) == 0
        assert (idle.rest(), silent.rest()) == (b"", b"")


def test_sigterm_lets_a_tunnel_go_on_and_end_in_order(proxy: ProxyProcess, tunnel: Client) -> None:
    stop(proxy)
    assert tunnel.echoes(b"after the signal")
    assert proxy.process.poll() is None
    tunnel.say(b"the last words")
    tunnel.finish()
    assert tunnel.rest() == b"the last words"
    assert ends_with(proxy) == 0
    assert proxy.wait_for_line(" ok").count("CONNECT") == 1


def test_sigterm_lets_a_forwarded_request_be_finished(
    proxy: ProxyProcess, plain: HttpOrigin, origins: LoopThread
) -> None:
    with client(proxy.port) as one:
        one.say(f"GET http://{plain.name}/slow/2 HTTP/1.1\r\nHost: {plain.name}\r\n\r\n")
        assert " 200 " in one.head()
        stop(proxy)
        for _ in range(2):
            origins.loop.call_soon_threadsafe(plain.steps.release)
            assert len(one.exactly(len(SLOW_PIECE))) == len(SLOW_PIECE)
        assert one.rest() == b""
    assert ends_with(proxy) == 0


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_second_signal_ends_at_once(
    proxy: ProxyProcess, tunnel: Client, first: signal.Signals, second: signal.Signals
) -> None:
    stop(proxy, first)
    assert tunnel.echoes()
    proxy.process.send_signal(second)
    assert ends_with(proxy) == (130 if signal.SIGINT in (first, second) else 0)
    with pytest.raises(ConnectionResetError):
        tunnel.rest()
    line = proxy.wait_for_line("CONNECT")
    assert " 200 - 127.0.0.1 22B up 22B down " in line
    assert line.endswith(" ended by this proxy")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_load_balancer_sees_the_drain(start_proxy: StartProxy, echo: str, workers: str) -> None:
    proxy = start_proxy(*LOOPBACK, "--workers", workers, "--metrics", "127.0.0.1:0")
    port = proxy.metrics_port()
    assert health(port).startswith("HTTP/1.1 200")
    with client(proxy.port) as tunnel:
        assert tunnel.tunnel(echo).startswith("HTTP/1.1 200")
        stop(proxy)
        assert health(port).startswith("HTTP/1.1 503")
    assert ends_with(proxy) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_drain_timeout_is_that_of_the_last_reload(
    start_proxy: StartProxy, echo: str, tmp_path: Path, workers: str
) -> None:
    file = tmp_path / "underpass.toml"
    text = '[proxy]\nlisten = ["127.0.0.1:0"]\nallow = ["127.0.0.0/8"]\n'
    file.write_text(text)
    proxy = start_proxy("--config", file, "--workers", workers)
    with client(proxy.port) as tunnel:
        assert tunnel.tunnel(echo).startswith("HTTP/1.1 200")
        file.write_text(text + "[proxy.limits]\ndrain_timeout = 0.5\n")
        proxy.process.send_signal(signal.SIGHUP)
        proxy.wait_for_line("configuration reloaded", int(workers))
        proxy.process.send_signal(signal.SIGTERM)
        assert ends_with(proxy) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_drain_timeout_bounds_the_end(start_proxy: StartProxy, echo: str, workers: str) -> None:
    proxy = start_proxy(*LOOPBACK, "--workers", workers, UNDERPASS_LIMITS_DRAIN_TIMEOUT="1.0")
    with client(proxy.port) as tunnel:
        assert tunnel.tunnel(echo).startswith("HTTP/1.1 200")
        proxy.process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        assert ends_with(proxy) == 0
        assert time.monotonic() - started >= 0.9
        with pytest.raises(ConnectionResetError):
            tunnel.rest()
