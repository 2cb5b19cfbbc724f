"""Two workers behind one address: both serve, each may die, and they act as one."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operations.client import Client, client, health, metric
from tests.operations.programs import children
from tests.origins import HttpOrigin
from tests.real.conftest import StartProxy
from tests.real.processes import ProxyProcess, accepts, wait_until

pytestmark = pytest.mark.slow

FLAGS = ("--allow", "127.0.0.0/8", "--workers", "2", "--metrics", "127.0.0.1:0")

# The kernel deals connections out by a hash of their ports: one of 64 tries finds the other worker.
TRIES = 64


@pytest.fixture
def proxy(start_proxy: StartProxy) -> ProxyProcess:
    return start_proxy(*FLAGS)


def sockets(process: int) -> int:
    """How many sockets a process has open."""
    folder = Path(f"/proc/{process}/fd")
    with contextlib.suppress(OSError):
        return sum(os.readlink(entry).startswith("socket:") for entry in folder.iterdir())
    return 0


@contextlib.contextmanager
def tunnel_in_each(proxy: ProxyProcess, echo: str) -> Iterator[dict[int, Client]]:
    """A tunnel in each worker, by the worker's process id."""
    found: dict[int, Client] = {}
    with contextlib.ExitStack() as stack:
        for _ in range(TRIES):
            before = {worker: sockets(worker) for worker in children(proxy.process.pid)}
            one = stack.enter_context(client(proxy.port))
            assert one.tunnel(echo).startswith("HTTP/1.1 200")
            [worker] = [worker for worker in before if sockets(worker) > before[worker]]
            found.setdefault(worker, one)
            if len(found) == len(before):
                break
        assert len(found) == 2
        yield found


def test_metrics_add_up_over_both(proxy: ProxyProcess, echo: str, plain: HttpOrigin) -> None:
    with tunnel_in_each(proxy, echo) as tunnels:
        opened = metric(proxy.metrics_port(), "underpass_tunnels_open")
        assert opened >= 2
        assert metric(proxy.metrics_port(), "underpass_requests_connect_total") == opened
        for tunnel in tunnels.values():
            tunnel.echoes(b"x" * 1000)
    wait_until(
        lambda: metric(proxy.metrics_port(), "underpass_tunnels_open") == 0, "no tunnel is open"
    )
    assert metric(proxy.metrics_port(), "underpass_bytes_sent_total") == 2000
    for _ in range(8):
        with client(proxy.port) as one:
            assert one.get(f"{plain.name}/bytes/10")[1]
    assert metric(proxy.metrics_port(), "underpass_requests_forward_total") == 8


def test_killed_worker_is_replaced_and_the_other_goes_on(proxy: ProxyProcess, echo: str) -> None:
    with tunnel_in_each(proxy, echo) as tunnels:
        (killed, lost), (_, kept) = tunnels.items()
        os.kill(killed, signal.SIGKILL)
        with contextlib.suppress(ConnectionResetError):
            assert lost.rest() == b""
        assert kept.echoes()
        proxy.wait_for_line("another starts in")
        wait_until(lambda: " 200 " in health(proxy.metrics_port()), "the worker is replaced")
        assert killed not in children(proxy.process.pid)
        with tunnel_in_each(proxy, echo) as again:
            assert all(tunnel.echoes() for tunnel in again.values())
        assert kept.echoes()


def test_clients_of_a_dead_worker_wait_for_the_next(proxy: ProxyProcess, echo: str) -> None:
    killed, _ = children(proxy.process.pid)
    os.kill(killed, signal.SIGKILL)
    with contextlib.ExitStack() as stack:
        for _ in range(TRIES // 4):
            one = stack.enter_context(client(proxy.port))
            assert one.tunnel(echo).startswith("HTTP/1.1 200")


def test_sigterm_drains_both(proxy: ProxyProcess, echo: str) -> None:
    with tunnel_in_each(proxy, echo) as tunnels:
        proxy.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not accepts(proxy.port), "new clients are refused")
        for tunnel in tunnels.values():
            assert tunnel.echoes()
    assert proxy.process.wait(10) == 0


def test_workers_end_with_their_supervisor(proxy: ProxyProcess) -> None:
    workers = children(proxy.process.pid)
    proxy.process.kill()
    proxy.process.wait(10)
    wait_until(lambda: not any(map(runs, workers)), "the workers end")


def runs(process: int) -> bool:
    """Whether it runs: one that has ended may wait for its parent to learn of it."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
