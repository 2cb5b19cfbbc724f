"""A client that is suspended, a proxy and a server that are started anew: real processes."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.chaos.inside import SECONDS, Inside
from tests.chaos.outages import gone, moved_and_cut, reloaded, run, scene, suspended
from tests.matrix.destination import destination
from tests.real.tunnel import Running, Tunnel, process_of, tunnel_in
from underpass.client_options import CARRIERS
from underpass.errors import StreamError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

OUTAGE_SECONDS = 5.0


@pytest.fixture
def tunnel(tmp_path: Path) -> Iterator[Tunnel]:
    with tunnel_in(tmp_path) as it:
        it.join("work")
        yield it


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Where the streams lead."""
    async with destination() as it:
        yield it


async def test_streams_live_on(tmp_path: Path) -> None:
    """`make outages` takes its time, and knows two that nobody is told of, which cost seconds."""
    async with scene(tmp_path) as it:
        for outage in (suspended, gone, moved_and_cut, reloaded):
            resumed = await run(it, outage, OUTAGE_SECONDS)
            assert set(resumed) == set(CARRIERS), outage
            assert all(one.checked > 0 for one in resumed.values()), outage


async def test_streams_live_on_while_the_proxy_is_started_anew(
    tunnel: Tunnel, port: int, tmp_path: Path
) -> None:
    def proxy(stack: contextlib.ExitStack, where: int) -> Running:
        flags = ("--listen", f"127.0.0.1:{where}", "--allow", "127.0.0.0/8")
        return stack.enter_context(process_of(tmp_path, "proxy", "proxy", *flags))

    with contextlib.ExitStack() as stack:
        first = proxy(stack, 0)
        where = first.port("http")
        inside = Inside(tunnel, port, "--via", f"http://127.0.0.1:{where}")
        async with inside.steady():
            first.process.send_signal(signal.SIGKILL)
            first.process.wait(10)
            await asyncio.sleep(1)
            proxy(stack, where).port("http")


async def test_a_server_that_is_started_anew_ends_streams_and_the_client_comes_back(
    tunnel: Tunnel, port: int
) -> None:
    inside = Inside(tunnel, port)
    stream = await inside.open()
    await stream.send(b"e" + b"before")
    assert await stream.receive() == b"before"
    tunnel.kill_server()
    tunnel.start_server()
    async with asyncio.timeout(SECONDS):
        with pytest.raises(StreamError):
            await stream.receive()
    await inside.ping()
