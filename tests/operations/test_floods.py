"""Many clients that mean no good, and one that does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.operations.client import client, metric
from tests.origins import Authority, HttpOrigin
from tests.real.conftest import StartProxy
from tests.real.processes import ProxyProcess, proxy_process, wait_until
from underpass import ListenAddress, Proxy, ProxyOptions
from underpass.access import Effect, Rule

pytestmark = pytest.mark.slow

LOOPBACK = ("--allow", "127.0.0.0/8")

DRIPS = 2000
HEAD_SECONDS = 4.0
# The proxy lingers this long for a client that does not take its answer and go.
LINGER_SECONDS = 2.0
# What a busy machine may add to a time-out.
LATE = 3.0

# Of so many exchanges one is above the p99.
SAMPLES = 200
# What the other programs of a busy machine may cost the slowest of them.
NOISE = 0.1

CROWD = 1000
ABORTS = 10_000


def p99_of_exchanges(port: int, target: str) -> float:
    """The time that nearly all exchanges of a well-behaved client stay below."""
    times = []
    for _ in range(SAMPLES):
        started = time.perf_counter()
        with client(port) as one:
            assert one.get(target)[0].startswith("HTTP/1.1 200")
        times.append(time.perf_counter() - started)
    return sorted(times)[-1 - SAMPLES // 100]


@contextlib.contextmanager
def crowd(port: int, count: int) -> Iterator[list[socket.socket]]:
    """So many clients, a few hundred an address."""
    with contextlib.ExitStack() as stack:
        sockets = []
        for number in range(count):
            source = (f"127.0.0.{10 + number % 8}", 0)
            sock = socket.create_connection(("127.0.0.1", port), 10, source)
            sock.setblocking(False)
            sockets.append(stack.enter_context(sock))
        yield sockets


@contextlib.contextmanager
def dripping(sockets: list[socket.socket]) -> Iterator[None]:
    """Let each client say a byte of its head a second."""
    over = threading.Event()

    def drip() -> None:
        while not over.is_set():
            for sock in sockets:
                with contextlib.suppress(OSError):
                    sock.send(b"G")
                over.wait(1 / len(sockets))

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_slow_clients_delay_nobody_and_are_gone_at_their_deadline(
    start_proxy: StartProxy, plain: HttpOrigin
) -> None:
    proxy = start_proxy(
        *(*LOOPBACK, "--metrics", "127.0.0.1:0"),
        UNDERPASS_LIMITS_HEAD_TIMEOUT=str(HEAD_SECONDS),
        UNDERPASS_LIMITS_MAX_UNAUTHENTICATED=str(2 * DRIPS),
    )
    target = f"{plain.name}/bytes/1000"
    p99_of_exchanges(proxy.port, target)
    idle = p99_of_exchanges(proxy.port, target)

    def inside() -> int:
        return metric(proxy.metrics_port(), "underpass_connections_open")

    with crowd(proxy.port, DRIPS) as sockets, dripping(sockets):
        come = time.monotonic()
        busy = p99_of_exchanges(proxy.port, target)
        assert inside() >= DRIPS, "the drips were gone before the measurement was over"
        assert busy < 2 * idle + NOISE
        late = come + HEAD_SECONDS + LINGER_SECONDS + LATE - time.monotonic()
        wait_until(lambda: inside() == 0, "the drips are gone", late)


def files(process: int) -> int:
    return len(os.listdir(f"/proc/{process}/fd"))


def is_at_rest(proxy: ProxyProcess) -> bool:
    """Whether it uses less than a fifth of a CPU for a second."""
    before, started = proxy.cpu_seconds(), time.monotonic()
    time.sleep(1.0)
    return proxy.cpu_seconds() - before < 0.2 * (time.monotonic() - started)


def serves(proxy: ProxyProcess, target: str) -> bool:
    with client(proxy.port) as one:
        try:
            return one.get(target)[0].startswith("HTTP/1.1 200")
        except ConnectionError:
            return False


def test_few_files_bound_the_clients(
    program: Callable[[str], Path], tmp_path: Path, plain: HttpOrigin
) -> None:
    limited = (program("prlimit"), "--nofile=128")
    with proxy_process(tmp_path, *LOOPBACK, within=limited) as proxy:
        with crowd(proxy.port, CROWD):
            assert is_at_rest(proxy)
            # What is kept for destinations, the log and the like is free.
            assert files(proxy.process.pid) < 128 - 32
            with client(proxy.port) as late:
                assert late.head().startswith("HTTP/1.1 503 ")
        wait_until(lambda: serves(proxy, f"{plain.name}/bytes/10"), "it serves again", 2.0)


def test_no_file_left_is_waited_out_without_spinning(
    start_proxy: StartProxy, plain: HttpOrigin
) -> None:
    proxy = start_proxy(
        *LOOPBACK,
        UNDERPASS_LIMITS_MAX_CONNECTIONS="100000",
        UNDERPASS_LIMITS_MAX_UNAUTHENTICATED="100000",
    )
    target = f"{plain.name}/bytes/10"
    assert serves(proxy, target)
    # Under the proxy's feet: what it does at its start is another test's.
    resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (128, 128))
    with client(proxy.port) as early:
        with crowd(proxy.port, CROWD):
            wait_until(lambda: files(proxy.process.pid) == 128, "no file is left")
            assert is_at_rest(proxy)
            assert early.tunnel("127.0.0.1:1").startswith("HTTP/1.1 503 ")
        wait_until(lambda: serves(proxy, target), "it serves again", 2.0)


def abort_all(port: int, count: int) -> None:
    """Connections that are reset at once, within a head, within a TLS hello or while dialling."""
    openings = (
        b"",
        b"CONNECT 127.0.0.1:1 HT",
        b"\x16\x03\x01\x00\xf0\x01",
        b"CONNECT 127.0.0.1:1 ",
    )
    for number in range(count):
        with client(port) as one:
            opening = openings[number % len(openings)]
            if opening.endswith(b" "):
                opening += b"HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n"
            one.say(opening)
            one.reset()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
async def test_aborted_clients_leave_nothing_behind(authority: Authority, tls: bool) -> None:
    options = ProxyOptions(
        listen=(ListenAddress("127.0.0.1", 0),),
        allow=(Rule.parse(Effect.ALLOW, "127.0.0.0/8"),),
        tls_cert=authority.cert_file if tls else None,
        tls_key=authority.key_file if tls else None,
    )
    async with Proxy(options) as proxy:
        port = proxy.addresses[0].port
        before = len(asyncio.all_tasks())
        # What the first ones leave open for good (threads, name look-ups) is no leak.
        await asyncio.to_thread(abort_all, port, 8)
        await settles(lambda: len(asyncio.all_tasks()), before)
        open_files = files(os.getpid())
        await asyncio.to_thread(abort_all, port, ABORTS)
        await settles(lambda: len(asyncio.all_tasks()), before)
        await settles(lambda: files(os.getpid()), open_files)


async def settles(count: Callable[[], int], expected: int) -> None:
    """Wait until there are no more than there were; what others left may go meanwhile."""
    deadline = asyncio.get_running_loop().time() + 10
    while (now := count()) > expected:
        assert asyncio.get_running_loop().time() < deadline, f"{now} instead of {expected}"
        await asyncio.sleep(0.01)
