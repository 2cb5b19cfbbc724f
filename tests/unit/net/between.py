"""A client and a destination with what joins them between: a splice, or a joint."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.unit.net.test_relay import Pair
from underpass.net.ending import Ending, RelayTimeouts, Transfer
from underpass.net.joint import Joiner, Joint
from underpass.net.splice import Spliced, Splicer

# Fewer than make the sender wait.
PIECE = 64 * 1024
# More than the system's buffers take.
MUCH = 64 * 1024 * 1024


class Scene:
    """The two as plain sockets, our streams to them, and what is told of the end.

    Each kind has a maker, whose timers those that it made share, and begins in its own way.
    """

    def __init__(self, left: Pair, right: Pair) -> None:
        self.left, self.client = left
        self.right, self.destination = right
        self.told: list[Transfer] = []

    async def fill(self, size: int = 1) -> int:
        """Send to the client until so much of it waits here; how much was sent in all."""
        sent = 0
        async with asyncio.timeout(5):
            while self.left.transport.get_write_buffer_size() < size:
                self.left.transport.write(bytes(PIECE))
                sent += PIECE
                # uvloop writes at the end of its turn.
                await asyncio.sleep(0.001)
        return sent

    async def stall(self) -> None:
        """Let the destination send until nothing of it is read any more."""
        sending = asyncio.get_running_loop().sock_sendall(self.destination, bytes(MUCH))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sending, 0.1)

    def finish(self) -> None:
        """Have both ends say that they send nothing more."""
        self.client.shutdown(socket.SHUT_WR)
        self.destination.shutdown(socket.SHUT_WR)

    async def ending(self) -> Ending:
        """How it ended, once that is told."""
        async with asyncio.timeout(5):
            while not self.told:
                await asyncio.sleep(0)
        [transfer] = self.told
        return transfer.ending


class SplicedScene(Scene):
    """With a splice."""

    def __init__(self, left: Pair, right: Pair, timeouts: RelayTimeouts | None = None) -> None:
        super().__init__(left, right)
        self.maker = Splicer(timeouts or RelayTimeouts())

    def begin(self) -> Spliced:
        return self.maker.splice(self.left, self.right, self.told.append)


class JoinedScene(Scene):
    """With a joint."""

    def __init__(self, left: Pair, right: Pair, timeouts: RelayTimeouts | None = None) -> None:
        super().__init__(left, right)
        self.maker = Joiner(timeouts or RelayTimeouts())

    def begin(self) -> Joint:
        return self.maker.join(self.left, self.right, self.told.append)


AnyScene = SplicedScene | JoinedScene
