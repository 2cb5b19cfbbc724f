"""The relay: bytes both ways, each ending kept apart from the others, nothing unbounded."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable

import pytest

from underpass.net.relay import Ending, RelayTimeouts, Transfer, relay
from underpass.net.stream import Sink, Stream, Tap
from underpass.net.transport import READ_BUFFER, WRITE_BUFFER, TransportStream

Pair = tuple[TransportStream, socket.socket]
MakePair = Callable[[], Awaitable[Pair]]
MEGABYTE = 1024 * 1024


class PlainStream(Stream):
    """A stream the relay knows nothing of: the same socket, only by the contract's calls."""

    def __init__(self, inner: TransportStream) -> None:
        self._inner = inner

    async def receive(self, limit: int = 65536) -> bytes:
        return await self._inner.receive(limit)

    def unread(self, data: bytes) -> None:
        self._inner.unread(data)

    async def send(self, data: bytes) -> None:
        await self._inner.send(data)

    async def send_eof(self) -> None:
        await self._inner.send_eof()

    async def close(self) -> None:
        await self._inner.close()

    def abort(self) -> None:
        self._inner.abort()

    @property
    def peer(self) -> None:
        return None


class PouringStream(PlainStream):
    """A stream the relay knows nothing of but that it pours."""

    can_pour = True

    def pour(self, sink: Sink) -> Tap:
        return self._inner.pour(sink)

    def close_soon(self) -> None:
        self._inner.close_soon()


Wrap = Callable[[TransportStream], Stream]


def bare(stream: TransportStream) -> Stream:
    return stream


class Dialogue:
    """Client and destination as plain sockets, and the relay that runs between them."""

    def __init__(self, left: Pair, right: Pair) -> None:
        self.left, self.client = left
        self.right, self.destination = right

    def start(self, tasks: asyncio.TaskGroup, timeouts: RelayTimeouts, wrap: Wrap) -> None:
        self.sent = self.received = 0
        self.task = tasks.create_task(relay(wrap(self.left), wrap(self.right), timeouts, self))

    async def transfer(self) -> Transfer:
        async with asyncio.timeout(5):
            return await self.task


async def read(sock: socket.socket, size: int) -> bytes:
    loop = asyncio.get_running_loop()
    data = b""
    async with asyncio.timeout(5):
        while len(data) < size:
            piece = await loop.sock_recv(sock, size - len(data))
            if not piece:
                break
            data += piece
    return data


async def write(sock: socket.socket, data: bytes) -> None:
    async with asyncio.timeout(5):
        await asyncio.get_running_loop().sock_sendall(sock, data)


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.fixture(params=[bare, PouringStream, PlainStream], ids=["spliced", "poured", "generic"])
def wrap(request: pytest.FixtureRequest) -> Wrap:
    kind: Wrap = request.param
    return kind


async def test_bytes_go_both_ways_and_are_counted(make_pair: MakePair, wrap: Wrap) -> None:
    d = Dialogue(await make_pair(), await make_pair())
    async with asyncio.TaskGroup() as tasks:
        d.start(tasks, RelayTimeouts(), wrap)
        await write(d.client, b"hello")
        assert await read(d.destination, 5) == b"hello"
        await write(d.destination, b"good day")
        assert await read(d.client, 8) == b"good day"
        d.client.shutdown(socket.SHUT_WR)
        assert await read(d.destination, 1) == b""
        d.destination.shutdown(socket.SHUT_WR)
        assert await read(d.client, 1) == b""
        assert await d.transfer() == Transfer(5, 8, Ending.COMPLETE)


async def test_bytes_that_came_before_the_relay_go_first(make_pair: MakePair, wrap: Wrap) -> None:
    d = Dialogue(await make_pair(), await make_pair())
    await write(d.client, b"second")
    assert await d.left.receive() == b"second"
    d.left.unread(b"second")
    d.left.unread(b"first ")
    async with asyncio.TaskGroup() as tasks:
        d.start(tasks, RelayTimeouts(), wrap)
        assert await read(d.destination, 12) == b"first second"
        d.client.shutdown(socket.SHUT_WR)
        d.destination.shutdown(socket.SHUT_WR)
        assert (await d.transfer()).sent == 12


@pytest.mark.parametrize("client_first", [True, False])
async def test_half_close_leaves_the_other_direction_open(
    make_pair: MakePair, wrap: Wrap, client_first: bool
) -> None:
    d = Dialogue(await make_pair(), await make_pair())
    first, second = (d.client, d.destination) if client_first else (d.destination, d.client)
    async with asyncio.TaskGroup() as tasks:
        d.start(tasks, RelayTimeouts(), wrap)
        first.shutdown(socket.SHUT_WR)
        assert await read(second, 1) == b""
        payload = os.urandom(MEGABYTE)
        sending = tasks.create_task(write(second, payload))
        assert await read(first, MEGABYTE) == payload
        await sending
        second.close()
        assert await read(first, 1) == b""
        assert (await d.transfer()).ending is Ending.COMPLETE


async def test_fin_before_the_relay_is_passed_on(make_pair: MakePair, wrap: Wrap) -> None:
    d = Dialogue(await make_pair(), await make_pair())
    await write(d.client, b"only this")
    d.client.shutdown(socket.SHUT_WR)
    d.left.unread(await d.left.receive())
    async with asyncio.TaskGroup() as tasks:
        d.start(tasks, RelayTimeouts(), wrap)
        assert await read(d.destination, 100) == b"only this"
        d.destination.close()
        assert (await d.transfer()).ending is Ending.COMPLETE


@pytest.mark.parametrize(
    ("client_resets", "ending"), [(True, Ending.LEFT_RESET), (False, Ending.RIGHT_RESET)]
)
async def test_reset_stays_a_reset(
    make_pair: MakePair, wrap: Wrap, client_resets: bool, ending: Ending
) -> None:
    d = Dialogue(await make_pair(), await make_pair())
    one, other = (d.client, d.destination) if client_resets else (d.destination, d.client)
    async with asyncio.TaskGroup() as tasks:
        d.start(tasks, RelayTimeouts(), wrap)
        await write(one, b"x")
        assert await read(other, 1) == b"x"
        reset(one)
        with pytest.raises(ConnectionResetError):
            await read(other, 1)
        assert (await d.transfer()).ending is ending


async def test_reset_before_the_relay_resets_the_other(make_pair: MakePair, wrap: Wrap) -> None:
    d = Dialogue(await make_pair(), await make_pair())
    reset(d.client)
    async with asyncio.TaskGroup() as tasks:
        d.start(tasks, RelayTimeouts(), wrap)
        with pytest.raises(ConnectionResetError):
            await read(d.destination, 1)
        assert (await d.transfer()).ending is Ending.LEFT_RESET


async def test_last_bytes_before_a_close_arrive(make_pair: MakePair, wrap: Wrap) -> None:
    d = Dialogue(await make_pair(), await make_pair())
    payload = os.urandom(MEGABYTE)
    async with asyncio.TaskGroup() as tasks:
        d.start(tasks, RelayTimeouts(), wrap)
        # The client has read everything that was sent to it, so its close is a FIN.
        sending = tasks.create_task(write(d.destination, payload))
        d.client.shutdown(socket.SHUT_WR)
        await asyncio.sleep(0)
        received = await read(d.client, MEGABYTE)
        await sending
        d.destination.close()
        assert received == payload
        assert (await d.transfer()).received == MEGABYTE


async def test_stalled_reader_holds_the_sender_back(make_pair: MakePair, wrap: Wrap) -> None:
    d = Dialogue(await make_pair(), await make_pair())
    d.destination.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        d.start(tasks, RelayTimeouts(), wrap)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(loop.sock_sendall(d.client, bytes(64 * MEGABYTE)), 0.25)
        held = d.right.transport.get_write_buffer_size()
        assert held <= WRITE_BUFFER + 2 * 256 * 1024 + READ_BUFFER
        reset(d.destination)
        assert (await d.transfer()).ending is Ending.RIGHT_RESET


async def test_idle_relay_is_reset_after_its_time(make_pair: MakePair, wrap: Wrap) -> None:
    d = Dialogue(await make_pair(), await make_pair())
    async with asyncio.TaskGroup() as tasks:
        d.start(tasks, RelayTimeouts(idle=0.03), wrap)
        with pytest.raises(ConnectionResetError):
            await read(d.client, 1)
        assert (await d.transfer()).ending is Ending.IDLE


async def test_busy_relay_is_not_idle(make_pair: MakePair, wrap: Wrap) -> None:
    d = Dialogue(await make_pair(), await make_pair())
    async with asyncio.TaskGroup() as tasks:
        d.start(tasks, RelayTimeouts(idle=0.2), wrap)
        for _ in range(8):
            await write(d.client, b"x")
            assert await read(d.destination, 1) == b"x"
            await asyncio.wait((d.task,), timeout=0.05)
        d.client.close()
        d.destination.close()
        assert (await d.transfer()).ending is Ending.COMPLETE


async def test_half_closed_relay_ends_after_its_time(make_pair: MakePair, wrap: Wrap) -> None:
    d = Dialogue(await make_pair(), await make_pair())
    async with asyncio.TaskGroup() as tasks:
        d.start(tasks, RelayTimeouts(half_close=0.03), wrap)
        d.client.shutdown(socket.SHUT_WR)
        assert await read(d.destination, 1) == b""
        with pytest.raises(ConnectionResetError):
            await read(d.destination, 1) or await read(d.client, 1)
        assert (await d.transfer()).ending is Ending.HALF_CLOSE_TIMEOUT


async def test_cancelled_relay_resets_both_and_tells_what_passed(
    make_pair: MakePair, wrap: Wrap
) -> None:
    d = Dialogue(await make_pair(), await make_pair())
    async with asyncio.TaskGroup() as tasks:
        d.start(tasks, RelayTimeouts(), wrap)
        await write(d.client, b"x")
        assert await read(d.destination, 1) == b"x"
        await write(d.destination, b"yes")
        assert await read(d.client, 3) == b"yes"
        d.task.cancel()
    assert (d.sent, d.received) == (1, 3)
    for end in (d.client, d.destination):
        with pytest.raises(ConnectionResetError):
            await read(end, 1)
