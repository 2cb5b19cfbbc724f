"""The exposition, and the tiny server of it over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import uvloop
from prometheus_client.parser import text_string_to_metric_families

from underpass import metrics
from underpass.address import ListenAddress
from underpass.errors import Failure
from underpass.metrics import MAX_EXCHANGES, MetricsServer, exposition
from underpass.observe import Counter, Counters, Histogram, Snapshot

HERE = ListenAddress("127.0.0.1", 0)


def samples(snapshot: Snapshot) -> dict[str, float]:
    text = exposition(snapshot).decode()
    return {
        sample.name + "".join(f"[{value}]" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_counter_is_shown_with_a_text() -> None:
    text = exposition(Counters().snapshot()).decode()
    for counter in Counter:
        assert f"underpass_{counter.name.lower()}" in text
    assert text.count("# HELP underpass_") == len(Counter) + len(Histogram)


def test_counters_gauges_and_refusals_have_their_values() -> None:
    counters = Counters()
    counters.add(Counter.DIALS, 7)
    counters.add(Counter.TUNNELS_OPEN, 3)
    counters.refused(Failure.FORBIDDEN)
    seen = samples(counters.snapshot())
    assert seen["underpass_dials_total"] == 7
    assert seen["underpass_tunnels_open"] == 3
    assert seen["underpass_refusals_total[forbidden]"] == 1
    assert seen["underpass_refusals_total[dns_error]"] == 0


def test_histograms_are_cumulative() -> None:
    counters = Counters()
    for seconds in (0.0005, 0.003, 0.003, 100.0):
        counters.took(Histogram.DIAL_SECONDS, seconds)
    seen = samples(counters.snapshot())
    assert seen["underpass_dial_seconds_bucket[0.001]"] == 1
    assert seen["underpass_dial_seconds_bucket[0.005]"] == 3
    assert seen["underpass_dial_seconds_bucket[10.0]"] == 3
    assert seen["underpass_dial_seconds_bucket[+Inf]"] == 4
    assert seen["underpass_dial_seconds_count"] == 4
    assert seen["underpass_dial_seconds_sum"] == pytest.approx(100.0065)


@contextlib.asynccontextmanager
async def closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


class Served:
    def __init__(self) -> None:
        self.counters = Counters()
        self.healthy = True
        self.server = MetricsServer(self.counters.snapshot, lambda: self.healthy)
        self.address = HERE

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.address.host, self.address.port)

    async def say(self, *pieces: bytes) -> bytes:
        """Send the pieces one by one and return all that comes back until the end."""
        reader, writer = await self.open()
        async with asyncio.timeout(10), closing(writer):
            with contextlib.suppress(ConnectionResetError):
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                return await reader.read()
        return b""


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    served = Served()
    (served.address,) = await served.server.start(HERE)
    yield served
    await served.server.stop()


def request(method: str, path: str) -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


async def test_metrics_are_served_and_the_connection_ends(served: Served) -> None:
    served.counters.add(Counter.DIALS, 9)
    answer = await served.say(request("GET", "/metrics?x=1"))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Type: text/plain; version=" in head
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"Connection: close" in head
    assert b"underpass_dials_total 9.0\n" in body


async def test_a_head_request_gets_the_head_alone(served: Served) -> None:
    answer = await served.say(request("HEAD", "/metrics"))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n")


async def test_health_follows_the_program(served: Served) -> None:
    assert (await served.say(request("GET", "/healthz"))).endswith(b"\r\n\r\nok\n")
    served.healthy = False
    answer = await served.say(request("GET", "/healthz"))
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert answer.endswith(b"draining\n")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (request("GET", "/"), 404),
        (request("GET", "/metrics/../etc/passwd"), 404),
        (request("DELETE", "/metrics"), 405),
        (b"nonsense\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", 431),
    ],
)
async def test_anything_else_is_refused(served: Served, sent: bytes, status: int) -> None:
    answer = await served.say(sent)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())


async def test_a_request_may_come_in_pieces(served: Served) -> None:
    whole = request("GET", "/healthz")
    answer = await served.say(whole[:10], whole[10:30], whole[30:])
    assert answer.endswith(b"ok\n")


async def test_what_follows_a_request_is_dropped(served: Served) -> None:
    reader, writer = await served.open()
    async with asyncio.timeout(10), closing(writer):
        writer.write(request("GET", "/healthz"))
        assert (await reader.read()).endswith(b"ok\n")
        writer.write(request("GET", "/metrics"))
        writer.write_eof()
        assert await reader.read() == b""


async def test_a_client_that_says_nothing_is_cut(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "EXCHANGE_SECONDS", 0.05)
    assert await served.say(b"GET /metr") == b""


async def test_more_exchanges_than_the_limit_get_nothing(served: Served) -> None:
    waiting = [await served.open() for _ in range(MAX_EXCHANGES)]
    async with asyncio.timeout(10):
        while await served.say(request("GET", "/healthz")):
            await asyncio.sleep(0.01)
    for _, writer in waiting:
        async with closing(writer):
            pass
    async with asyncio.timeout(10):
        while not await served.say(request("GET", "/healthz")):
            await asyncio.sleep(0.01)


async def test_stop_cuts_what_is_under_way(served: Served) -> None:
    reader, writer = await served.open()
    async with asyncio.timeout(10), closing(writer):
        writer.write(b"GET")
        await asyncio.sleep(0.01)
        await served.server.stop()
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    with pytest.raises(ConnectionRefusedError):
        await served.open()


async def unix_exchange(path: Path) -> None:
    server = MetricsServer(Counters().snapshot)
    await server.start(ListenAddress(None, 0, str(path)))
    reader, writer = await asyncio.open_unix_connection(path)
    async with asyncio.timeout(10), closing(writer):
        writer.write(request("GET", "/healthz"))
        assert (await reader.read()).endswith(b"ok\n")
    await server.stop()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_metrics_can_be_served_on_a_unix_socket(
    tmp_path: Path, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(unix_exchange(tmp_path / "metrics"))
    assert not (tmp_path / "metrics").exists()
