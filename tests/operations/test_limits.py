"""Limits on clients and on time, as a client of the real process meets them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.operations.client import Client, client, metric
from tests.origins import HttpOrigin, LoopThread
from tests.real.conftest import StartProxy
from tests.real.processes import ProxyProcess, wait_until

pytestmark = pytest.mark.slow

LOOPBACK = ("--allow", "127.0.0.0/8")

# What a loaded machine may add to a time-out.
LATE = 4.0

BIG = 250_000_000
MIB = 1024 * 1024


@contextlib.contextmanager
def tunnels(
    proxy: ProxyProcess, echo: str, count: int, source: str = "127.0.0.1"
) -> Iterator[None]:
    """So many open tunnels from one address."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            one = stack.enter_context(client(proxy.port, source))
            assert one.tunnel(echo).startswith("HTTP/1.1 200")
        yield


def is_told_to_wait(head: str) -> bool:
    fields = head.lower()
    return (
        head.startswith("HTTP/1.1 503 ")
        and "retry-after: " in fields
        and "proxy-status: underpass;error=connection_limit_reached" in fields
        and "connection: close" in fields
    )


def test_beyond_the_limit_in_all_a_client_is_told_to_wait(
    start_proxy: StartProxy, echo: str
) -> None:
    proxy = start_proxy(*LOOPBACK, UNDERPASS_LIMITS_MAX_CONNECTIONS="3")
    with tunnels(proxy, echo, 3), client(proxy.port, "127.0.0.9") as late:
        assert is_told_to_wait(late.head())
    wait_until(lambda: is_let_in(proxy, echo), "there is room again")


def is_let_in(proxy: ProxyProcess, echo: str, source: str = "127.0.0.1") -> bool:
    with client(proxy.port, source) as one:
        try:
            return one.tunnel(echo).startswith("HTTP/1.1 200")
        except ConnectionError:
            return False


def test_beyond_the_limit_of_one_client_others_are_served(
    start_proxy: StartProxy, echo: str
) -> None:
    proxy = start_proxy(*LOOPBACK, UNDERPASS_LIMITS_MAX_CONNECTIONS_PER_CLIENT="2")
    with tunnels(proxy, echo, 2, "127.0.0.5"):
        with client(proxy.port, "127.0.0.5") as late:
            assert is_told_to_wait(late.head())
        assert is_let_in(proxy, echo, "127.0.0.6")
    wait_until(lambda: is_let_in(proxy, echo, "127.0.0.5"), "there is room again")


def test_beyond_the_limit_of_strangers_the_oldest_makes_room(
    start_proxy: StartProxy, user_command: Callable[..., str], state: Path, echo: str
) -> None:
    user_command("add", "alice", stdin="wonder\n")
    proxy = start_proxy(
        *(*LOOPBACK, "--auth", "basic", "--state", state),
        UNDERPASS_LIMITS_MAX_UNAUTHENTICATED="3",
    )
    alice = "Proxy-Authorization: Basic YWxpY2U6d29uZGVy"
    with contextlib.ExitStack() as stack:
        mine = stack.enter_context(client(proxy.port))
        assert mine.tunnel(echo, alice).startswith("HTTP/1.1 200")
        strangers = [stack.enter_context(client(proxy.port)) for _ in range(10)]
        with client(proxy.port) as another:
            assert another.tunnel(echo, alice).startswith("HTTP/1.1 200")
        # `another` needed room as well, until it had said who it is.
        assert all(ends(stranger) for stranger in strangers[:8])
        assert mine.echoes()
        assert "407" in strangers[-1].tunnel(echo)


def ends(one: Client) -> bool:
    """Whether the other end ends it: soon, not when the time for a head is over."""
    one.sock.settimeout(5)
    try:
        return one.rest() == b""
    except ConnectionResetError:
        return True


def test_idle_tunnel_ends_and_a_busy_one_does_not(start_proxy: StartProxy, echo: str) -> None:
    proxy = start_proxy(*LOOPBACK, UNDERPASS_LIMITS_TUNNEL_IDLE_TIMEOUT="1.0")
    with client(proxy.port) as idle, client(proxy.port) as busy:
        assert idle.tunnel(echo).startswith("HTTP/1.1 200")
        assert busy.tunnel(echo).startswith("HTTP/1.1 200")
        started = time.monotonic()
        while time.monotonic() - started < 1.5:
            assert busy.echoes(b"awake")
            time.sleep(0.1)
        with pytest.raises(ConnectionResetError):
            idle.rest()
        assert time.monotonic() - started < 1.0 + 1.0 + LATE
        assert busy.echoes()
        assert " idle" in proxy.wait_for_line("CONNECT")


def test_client_without_a_next_request_is_let_go(
    start_proxy: StartProxy, plain: HttpOrigin
) -> None:
    proxy = start_proxy(*LOOPBACK, UNDERPASS_LIMITS_KEEP_ALIVE_TIMEOUT="0.5")
    with client(proxy.port) as one:
        assert one.get(f"{plain.name}/bytes/10")[1]
        started = time.monotonic()
        assert one.rest() == b""
        assert 0.4 < time.monotonic() - started < 0.5 + LATE


def test_half_closed_tunnel_ends(
    start_proxy: StartProxy, plain: HttpOrigin, origins: LoopThread
) -> None:
    proxy = start_proxy(*LOOPBACK, UNDERPASS_LIMITS_HALF_CLOSE_TIMEOUT="0.5")
    with client(proxy.port) as one:
        assert one.tunnel(plain.name).startswith("HTTP/1.1 200")
        one.say("GET /slow/1 HTTP/1.1\r\nHost: a\r\n\r\n")
        one.head()
        one.finish()
        started = time.monotonic()
        with pytest.raises(ConnectionResetError):
            one.rest()
        assert 0.4 < time.monotonic() - started < 0.5 + LATE
    assert "half-close timeout" in proxy.wait_for_line("CONNECT")
    origins.loop.call_soon_threadsafe(plain.steps.release)


@pytest.mark.parametrize("first", [0.0, 1.6], ids=["at once", "after a silence"])
def test_head_that_drips_is_given_up_at_its_deadline(start_proxy: StartProxy, first: float) -> None:
    proxy = start_proxy(*LOOPBACK, UNDERPASS_LIMITS_HEAD_TIMEOUT="2.0")
    with client(proxy.port) as one:
        started = time.monotonic()
        time.sleep(first)
        one.sock.settimeout(0.1)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while not answer:
                one.say(b"G")
                with contextlib.suppress(TimeoutError):
                    answer = one.sock.recv(1000)
        assert answer.startswith(b"HTTP/1.1 408 ")
        # A time that began with the first byte would be over 1.6 s later.
        assert time.monotonic() - started < 3.4


def test_stalled_reader_costs_at_most_a_mebibyte(
    start_proxy: StartProxy, plain: HttpOrigin
) -> None:
    proxy = start_proxy(*LOOPBACK, "--metrics", "127.0.0.1:0")
    target = f"{plain.name}/bytes/{BIG}"
    # What the first of everything costs is no part of it.
    for _ in range(2):
        with client(proxy.port) as warm:
            assert len(warm.get(f"{plain.name}/bytes/20000000")[1]) == 20_000_000
    assert metric(proxy.metrics_port(), "underpass_tunnels_open") == 0
    before = proxy.resident()
    with client(proxy.port) as forwarded, client(proxy.port) as tunnelled:
        forwarded.say(f"GET http://{target} HTTP/1.1\r\nHost: {plain.name}\r\n\r\n")
        assert "200" in forwarded.head()
        assert tunnelled.tunnel(plain.name).startswith("HTTP/1.1 200")
        tunnelled.say(f"GET /bytes/{BIG} HTTP/1.1\r\nHost: {plain.name}\r\n\r\n")
        assert "200" in tunnelled.head()
        most = 0
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            most = max(most, proxy.resident() - before)
            time.sleep(0.02)
        assert most <= 2 * MIB, f"{most} bytes for two stalled readers"
        # And it was a stall: what is read now is the beginning of all of it.
        assert len(tunnelled.exactly(20_000_000)) == 20_000_000
