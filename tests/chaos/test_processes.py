"""A client that is suspended, a proxy and a server that are started anew: real processes."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.chaos.steady import Steady
from tests.matrix.destination import destination
from tests.matrix.exercise import ping_pong
from tests.real.tunnel import Running, Tunnel, process_of, tunnel_in
from underpass.address import Address
from underpass.errors import StreamError
from underpass.net.connect import connect_tcp
from underpass.net.transport import TransportStream

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

# Until what was sent after a change is back; the client may be in the midst of a pause.
SECONDS = 30.0
STREAMS = 4


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


class Inside:
    """The client, and how programs come in."""

    def __init__(self, tunnel: Tunnel, port: int, *flags: str) -> None:
        self.client = tunnel.start_client("work", "-L", f"0:127.0.0.1:{port}", *flags)
        self.client.wait_for("tunnel up")
        self._port = self.client.port("forward")

    def signal(self, number: signal.Signals) -> None:
        self.client.process.send_signal(number)

    async def open(self) -> TransportStream:
        address = Address("127.0.0.1", self._port)
        assert address.ip is not None
        return await connect_tcp(address.ip, address.port, 5)

    async def ping(self) -> None:
        """A new stream works."""
        async with asyncio.timeout(SECONDS):
            await ping_pong(await self.open(), 2)

    @contextlib.asynccontextmanager
    async def steady(self) -> AsyncIterator[list[Steady]]:
        """Streams that must not notice what happens in the block."""
        steadies = [Steady(await self.open(), seed) for seed in range(STREAMS)]
        async with asyncio.TaskGroup() as tasks:
            for steady in steadies:
                tasks.create_task(steady.run())
            await moves(steadies)
            yield steadies
            await moves(steadies)
            for steady in steadies:
                steady.end()


async def moves(steadies: list[Steady]) -> None:
    """Wait until every stream has brought something more."""
    before = [steady.checked for steady in steadies]
    async with asyncio.timeout(SECONDS):
        for steady, checked in zip(steadies, before, strict=True):
            while steady.checked <= checked:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("carrier", ["auto", "poll"])
async def test_a_client_that_was_suspended_goes_on(tunnel: Tunnel, port: int, carrier: str) -> None:
    inside = Inside(tunnel, port, "--carrier", carrier)
    async with inside.steady():
        inside.signal(signal.SIGSTOP)
        await asyncio.sleep(5)
        inside.signal(signal.SIGCONT)


async def test_streams_live_on_while_the_server_reads_its_options_anew(
    tunnel: Tunnel, port: int
) -> None:
    inside = Inside(tunnel, port)
    async with inside.steady() as steadies:
        for _ in range(3):
            tunnel.server.process.send_signal(signal.SIGHUP)
            await moves(steadies)


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
