"""What a client says before it is answered is taken once, in order, and within bounds."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from underpass.address import Address
from underpass.net.early import EARLY_BYTES, EarlyData, without_early
from underpass.net.stream import Stream
from underpass.net.transport import TransportStream
from underpass.testing.memory import stream_pair

WHERE = Address("example.com", 80)
PIECE = 1024


async def turn() -> None:
    """Let the loop hand on what was sent in memory."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_what_has_come_and_what_comes_is_sent_until_it_is_stopped() -> None:
    client, accepted = stream_pair()
    sent: list[bytes] = []
    early = EarlyData(accepted)
    await client.send(b"GET ")
    early.begin(sent.append)
    await client.send(b"/ ")
    await turn()
    early.stop()
    await client.send(b"HTTP/1.1")
    assert (b"".join(sent), early.sent) == (b"GET / ", 6)
    assert await accepted.receive() == b"HTTP/1.1"


async def test_what_was_put_back_goes_first() -> None:
    client, accepted = stream_pair()
    await client.send(b"behind")
    accepted.unread(b"before ")
    sent: list[bytes] = []
    early = EarlyData(accepted)
    early.begin(sent.append)
    early.stop()
    assert b"".join(sent) == b"before behind"


async def test_no_more_is_taken_than_a_request() -> None:
    client, accepted = stream_pair(buffer_size=PIECE)
    early = EarlyData(accepted)
    early.begin(lambda data: None)
    for _ in range(EARLY_BYTES // PIECE):
        await client.send(bytes(PIECE))
        await turn()
    assert early.sent == EARLY_BYTES
    await client.send(bytes(PIECE))
    await turn()
    assert early.sent == EARLY_BYTES
    early.stop()
    assert len(await accepted.receive()) == PIECE


async def test_an_end_is_left_to_who_relays() -> None:
    client, accepted = stream_pair()
    early = EarlyData(accepted)
    early.begin(lambda data: None)
    await client.send_eof()
    await turn()
    early.stop()
    assert await accepted.receive() == b""


async def test_a_client_that_resets_meanwhile_is_noticed_by_who_relays() -> None:
    client, accepted = stream_pair()
    early = EarlyData(accepted)
    early.begin(lambda data: None)
    client.abort()
    await turn()
    early.stop()
    assert accepted.is_lost


async def test_a_dial_that_can_take_nothing_early_is_a_dial_all_the_same() -> None:
    here, _ = stream_pair()
    asked: list[Address] = []

    async def dial(address: Address) -> Stream:
        asked.append(address)
        return here

    client, accepted = stream_pair()
    await client.send(b"early")
    early = EarlyData(accepted)
    assert await without_early(dial)(WHERE, early) is here
    assert asked == [WHERE]
    assert early.sent == 0
    assert await accepted.receive() == b"early"


@pytest.fixture
async def quiet() -> AsyncIterator[tuple[TransportStream, socket.socket]]:
    """The stream of a client that has said nothing, and its own end."""
    ours, client = socket.socketpair()
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    _, stream = await loop.create_unix_connection(TransportStream, sock=ours)
    yield stream, client
    stream.abort()
    client.close()


async def come(stream: TransportStream, size: int) -> None:
    """Wait until so many bytes have come over a stream in all."""
    async with asyncio.timeout(5):
        while stream.received < size:
            await asyncio.sleep(0)


async def test_what_a_quiet_client_says_is_sent_until_it_is_stopped(
    quiet: tuple[TransportStream, socket.socket],
) -> None:
    accepted, client = quiet
    sent: list[bytes] = []
    early = EarlyData(accepted)
    early.begin(sent.append)
    for size, piece in ((4, b"GET "), (6, b"/ ")):
        client.send(piece)
        await come(accepted, size)
    early.stop()
    client.send(b"HTTP/1.1")
    assert (sent, early.sent) == ([b"GET ", b"/ "], 6)
    assert await accepted.receive() == b"HTTP/1.1"


async def test_no_more_is_taken_of_a_quiet_client_than_a_request(
    quiet: tuple[TransportStream, socket.socket],
) -> None:
    accepted, client = quiet
    early = EarlyData(accepted)
    early.begin(lambda data: None)
    for size in range(PIECE, EARLY_BYTES + PIECE, PIECE):
        client.send(bytes(PIECE))
        await come(accepted, size)
    assert early.sent == EARLY_BYTES
    client.send(b"more")
    await come(accepted, EARLY_BYTES + 4)
    assert early.sent == EARLY_BYTES
    early.stop()
    assert await accepted.receive() == b"more"


async def test_the_end_of_a_quiet_client_is_left_to_who_relays(
    quiet: tuple[TransportStream, socket.socket],
) -> None:
    accepted, client = quiet
    sent: list[bytes] = []
    early = EarlyData(accepted)
    early.begin(sent.append)
    client.shutdown(socket.SHUT_WR)
    async with asyncio.timeout(5):
        while accepted.is_quiet:
            await asyncio.sleep(0)
    early.stop()
    assert sent == []
    assert await accepted.receive() == b""
