"""A client in a process of its own, and streams through it that must not notice what happens."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator

from tests.chaos.steady import Steady
from tests.matrix.exercise import ping_pong
from tests.real.tunnel import Tunnel
from underpass.address import Address
from underpass.net.connect import connect_tcp
from underpass.net.transport import TransportStream

# Until what was sent after a change is back; the client may be in the midst of a pause.
SECONDS = 30.0
STREAMS = 4


class Inside:
    """The client, and how programs come in; they come to `port` at the far end."""

    def __init__(self, tunnel: Tunnel, port: int, *flags: str, profile: str = "work") -> None:
        self.client = tunnel.start_client(profile, "-L", f"0:127.0.0.1:{port}", *flags)
        self.client.wait_for("tunnel up")
        self._port = self.client.port("forward")

    def signal(self, number: signal.Signals) -> None:
        """Send the client a signal."""
        self.client.process.send_signal(number)

    async def open(self) -> TransportStream:
        """A new stream."""
        address = Address("127.0.0.1", self._port)
        assert address.ip is not None
        return await connect_tcp(address.ip, address.port, 5)

    async def ping(self) -> None:
        """A new stream works."""
        async with asyncio.timeout(SECONDS):
            await ping_pong(await self.open(), 2)

    @contextlib.asynccontextmanager
    async def steady(
        self, streams: int = STREAMS, patience: float = SECONDS
    ) -> AsyncIterator[list[Steady]]:
        """Streams that must not notice what happens in the block."""
        steadies = [Steady(await self.open(), seed) for seed in range(streams)]
        async with asyncio.TaskGroup() as tasks:
            for steady in steadies:
                tasks.create_task(steady.run())
            await moves(steadies)
            yield steadies
            await moves(steadies, patience)
            for steady in steadies:
                steady.end()


async def moves(steadies: list[Steady], patience: float = SECONDS) -> None:
    """Wait until every stream has brought something that is sent from now on."""
    before = [steady.sent for steady in steadies]
    async with asyncio.timeout(patience):
        for steady, sent in zip(steadies, before, strict=True):
            while steady.checked <= sent:
                await asyncio.sleep(0.01)
