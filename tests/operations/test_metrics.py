"""The real page of metrics: what happened stands on it, and no client reaches it by the proxy."""

from __future__ import annotations

import signal

import pytest

from tests.operations.client import client, metric
from tests.origins import HttpOrigin
from tests.real.conftest import StartProxy
from tests.real.processes import ProxyProcess, free_port, wait_until

pytestmark = pytest.mark.slow

FLAGS = ("--allow", "127.0.0.0/8", "--metrics", "127.0.0.1:0")


@pytest.fixture(params=["1", "2"], ids=["one process", "two workers"])
def proxy(request: pytest.FixtureRequest, start_proxy: StartProxy) -> ProxyProcess:
    return start_proxy(*FLAGS, "--workers", request.param)


def test_clients_and_dials_stand_on_the_page(
    proxy: ProxyProcess, echo: str, plain: HttpOrigin
) -> None:
    port = proxy.metrics_port()
    with client(proxy.port) as one:
        assert one.tunnel(echo).startswith("HTTP/1.1 200")
        assert metric(port, "underpass_connections_open") == 1
    with client(proxy.port, "127.0.0.2") as one:
        assert one.get(f"{plain.name}/bytes/10")[1]
    with client(proxy.port, "127.0.0.3") as one:
        assert one.tunnel(f"127.0.0.1:{free_port()}").startswith("HTTP/1.1 502")
    with client(proxy.port, "127.0.0.4") as one:
        assert one.tunnel("10.0.0.1:443").startswith("HTTP/1.1 403")
    wait_until(lambda: metric(port, "underpass_connections_open") == 0, "all are gone")
    assert metric(port, "underpass_connections_accepted_total") == 4
    assert metric(port, "underpass_dials_total") == 3
    assert metric(port, "underpass_dial_failures_total") == 1
    assert metric(port, "underpass_dial_seconds_count") == 2
    assert metric(port, "underpass_accept_pauses_total") == 0


def test_clients_over_the_limit_stand_on_the_page(start_proxy: StartProxy, echo: str) -> None:
    proxy = start_proxy(*FLAGS, UNDERPASS_LIMITS_MAX_CONNECTIONS_PER_CLIENT="1")
    with client(proxy.port) as one, client(proxy.port) as other:
        assert one.tunnel(echo).startswith("HTTP/1.1 200")
        assert other.head().startswith("HTTP/1.1 503")
    assert metric(proxy.metrics_port(), "underpass_connections_shed_total") == 1


def check_unreachable(proxy: ProxyProcess) -> None:
    target = f"127.0.0.1:{proxy.metrics_port()}"
    # Enough to meet each worker.
    for number in range(8):
        with client(proxy.port) as one:
            head = one.tunnel(target) if number % 2 else one.get(f"{target}/metrics")[0]
            assert head.startswith("HTTP/1.1 502")
            assert "proxy_loop_detected" in head


def test_the_page_is_not_reached_through_the_proxy_nor_after_a_reload(
    proxy: ProxyProcess,
) -> None:
    check_unreachable(proxy)
    assert metric(proxy.metrics_port(), "underpass_reloads_total") == 0
    proxy.process.send_signal(signal.SIGHUP)
    wait_until(
        lambda: metric(proxy.metrics_port(), "underpass_reloads_total") > 0, "the proxy reloaded"
    )
    check_unreachable(proxy)
