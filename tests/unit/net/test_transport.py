"""`TransportStream` on real sockets: what the conformance suite does not reach."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable

import pytest

from underpass.errors import StreamClosed, StreamReset, StreamTimeout
from underpass.net.line import MOST_BUFFER
from underpass.net.transport import READ_BUFFER, TransportStream

MakePair = Callable[[], Awaitable[tuple[TransportStream, socket.socket]]]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


async def test_names_both_ends(make_pair: MakePair) -> None:
    stream, other = await make_pair()
    assert str(stream.peer) == "{}:{}".format(*other.getsockname())
    assert str(stream.local) == "{}:{}".format(*other.getpeername())
    assert "OPEN" in repr(stream)


async def test_unread_bytes_are_bounded_while_nobody_receives(make_pair: MakePair) -> None:
    stream, other = await make_pair()
    sending = asyncio.get_running_loop().sock_sendall(other, bytes(64 * READ_BUFFER))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(sending, 0.1)
    assert stream.received <= READ_BUFFER + 256 * 1024
    before = stream.received
    total = 0
    while total < before:
        total += len(await stream.receive())
    assert total == before


async def test_an_offer_is_made_of_what_comes_after_much(make_pair: MakePair) -> None:
    stream, other = await make_pair()
    other.send(bytes(READ_BUFFER))
    await until(lambda: stream.unread_size >= READ_BUFFER)
    # Reading has paused, and nobody waits for more.
    assert len(await stream.receive(READ_BUFFER)) == READ_BUFFER
    offered: list[bytes] = []

    def take(data: bytes) -> bool:
        offered.append(data)
        return True

    stream.offer_next(take)
    other.send(b"more")
    await until(lambda: offered == [b"more"])


async def test_an_end_is_noticed_after_much_that_was_all_received(make_pair: MakePair) -> None:
    stream, other = await make_pair()
    other.send(bytes(READ_BUFFER))
    await until(lambda: stream.unread_size >= READ_BUFFER)
    # Reading has paused, and nobody waits for more.
    assert len(await stream.receive(READ_BUFFER)) == READ_BUFFER
    assert stream.is_quiet
    other.close()
    await until(lambda: not stream.is_quiet)


async def test_receive_honours_its_limit(make_pair: MakePair) -> None:
    stream, other = await make_pair()
    other.send(b"abcdef")
    assert await stream.receive(4) == b"abcd"
    assert await stream.receive(4) == b"ef"


async def test_cancelled_receive_loses_nothing(make_pair: MakePair) -> None:
    stream, other = await make_pair()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(stream.receive(), 0.01)
    other.send(b"still here")
    assert await stream.receive() == b"still here"


async def test_is_quiet_until_something_comes(make_pair: MakePair) -> None:
    stream, other = await make_pair()
    assert stream.is_quiet
    other.send(b"x")
    await until(lambda: not stream.is_quiet)
    await stream.receive()
    assert stream.is_quiet
    other.shutdown(socket.SHUT_WR)
    await until(lambda: not stream.is_quiet)
    assert await stream.receive() == b""


async def test_send_waits_for_a_slow_reader_and_goes_on(make_pair: MakePair) -> None:
    stream, other = await make_pair()
    payload = os.urandom(8 * 1024 * 1024)
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(stream.send(payload))
        received = bytearray()
        await asyncio.sleep(0)
        assert not sending.done()
        while len(received) < len(payload):
            received += await asyncio.get_running_loop().sock_recv(other, 65536)
        await sending
    assert received == payload


async def test_close_drops_what_still_comes_and_delivers_what_was_sent(
    make_pair: MakePair,
) -> None:
    stream, other = await make_pair()
    other.send(b"a body that nobody reads")
    await stream.send(b"the answer")
    async with asyncio.TaskGroup() as tasks:
        closing = tasks.create_task(stream.close())
        data = b""
        loop = asyncio.get_running_loop()
        while piece := await loop.sock_recv(other, 100):
            data += piece
        other.close()
        await closing
    assert data == b"the answer"


async def test_close_does_not_wait_for_ever(
    make_pair: MakePair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("underpass.net.transport.LINGER_SECONDS", 0.01)
    monkeypatch.setattr("underpass.net.transport.FLUSH_SECONDS", 0.01)
    stream, _ = await make_pair()
    stream.transport.write(bytes(64 * 1024 * 1024))
    await asyncio.wait_for(stream.close(), 5)
    await until(lambda: "LOST" in repr(stream))


async def test_calls_after_close_say_closed(make_pair: MakePair) -> None:
    stream, other = await make_pair()
    other.close()
    await stream.close()
    await stream.close()
    stream.abort()
    with pytest.raises(StreamClosed):
        await stream.receive()
    with pytest.raises(StreamClosed):
        await stream.send(b"x")
    await stream.send_eof()


async def test_close_wakes_who_waits(make_pair: MakePair) -> None:
    stream, _ = await make_pair()
    loop = asyncio.get_running_loop()
    loop.call_soon(stream.abort)
    with pytest.raises(StreamClosed):
        await asyncio.wait_for(stream.receive(), 5)


async def test_reset_reaches_receiver_and_sender(make_pair: MakePair) -> None:
    stream, other = await make_pair()
    other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    other.close()
    with pytest.raises(StreamReset):
        await stream.receive()
    with pytest.raises(StreamReset):
        await stream.send(b"x")


async def test_send_after_eof_says_closed(make_pair: MakePair) -> None:
    stream, other = await make_pair()
    await stream.send_eof()
    await stream.send_eof()
    with pytest.raises(StreamClosed):
        await stream.send(b"x")
    other.send(b"the other direction goes on")
    assert await stream.receive() == b"the other direction goes on"


async def test_close_waits_until_all_is_delivered(make_pair: MakePair) -> None:
    stream, other = await make_pair()
    payload = os.urandom(8 * 1024 * 1024)
    stream.transport.write(payload)
    other.shutdown(socket.SHUT_WR)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        closing = tasks.create_task(stream.close())
        await asyncio.sleep(0)
        assert not closing.done()
        received = bytearray()
        while piece := await loop.sock_recv(other, 65536):
            received += piece
    assert received == payload


async def test_an_end_that_stopped_answering_is_a_time_out(make_pair: MakePair) -> None:
    stream, _ = await make_pair()
    # As the transport says when the kernel's keepalive has given up (ETIMEDOUT).
    stream.connection_lost(TimeoutError())
    with pytest.raises(StreamTimeout):
        await stream.receive()
    with pytest.raises(StreamTimeout):
        await stream.send(b"x")
    stream.transport.abort()
    await asyncio.sleep(0)


async def test_a_sender_that_never_waits_learns_that_the_other_end_is_gone(
    make_pair: MakePair,
) -> None:
    stream, other = await make_pair()
    await stream.send(b"never read")
    # Closed with bytes unread: a reset. Nothing gives the loop its turn but `send` itself.
    other.close()

    async def say_much() -> None:
        for _ in range(1_000_000):
            await stream.send(b"x")

    with pytest.raises(StreamReset):
        await say_much()


async def test_takes_little_that_is_not_on_its_way_while_it_is_kept_shallow(
    make_pair: MakePair,
) -> None:
    stream, other = await make_pair()
    other.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * 1024)
    stream.keep_shallow()

    async def flood() -> None:
        while True:
            await stream.send(bytes(4096))

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(flood(), 0.1)
    assert stream.transport.get_write_buffer_size() < 2 * MOST_BUFFER
