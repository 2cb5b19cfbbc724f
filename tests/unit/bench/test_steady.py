"""Applications over streams that are cut: what they count, and what the page says of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from bench import steady
from bench.cuts import figures
from bench.cutter import Cutter, cutter_before
from bench.processes import BenchError
from bench.steady import PIECE, Account, Steady

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No rest between pieces, and little patience."""
    monkeypatch.setattr(steady, "REST_SECONDS", 0.001)
    monkeypatch.setattr(steady, "AGAIN_SECONDS", 0.001)


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[tuple[str, int]]:
    """A server on loopback."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield host, port


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0)


async def use(address: tuple[str, int], meanwhile: Callable[[Steady], Awaitable[None]]) -> Account:
    """Let an application run while something happens, then to its end."""
    stream = Steady("{}:{}".format(*address), "forward", "127.0.0.1:7")
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(stream.run())
        await meanwhile(stream)
        stream.end()
    return stream.account


async def test_stream_that_nobody_cuts_loses_nothing() -> None:
    async def some_pieces(stream: Steady) -> None:
        await until(lambda: stream.checked > 3 * PIECE)

    async with served(echo) as address:
        assert await use(address, some_pieces) == Account()


async def test_cut_stream_is_broken_and_another_goes_on() -> None:
    async with (
        served(echo) as target,
        asyncio.TaskGroup() as tasks,
        cutter_before(target, tasks) as cutter,
    ):
        host, port = cutter.address.split(":")
        account = await use((host, int(port)), lambda stream: cut_once(cutter, stream))
    assert account.broken == 1
    assert account.lost % PIECE == 0
    assert len(account.pauses) == 1


async def cut_once(cutter: Cutter, stream: Steady) -> None:
    await until(lambda: stream.checked > 0)
    assert cutter.cut() == 1
    stream.cut()
    await until(lambda: bool(stream.account.pauses))


async def test_wrong_byte_is_noted() -> None:
    async def spoil(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.readexactly(PIECE)
        writer.write(data[:-1] + bytes([data[-1] ^ 1]))
        await reader.read()

    async def one_wrong(stream: Steady) -> None:
        await until(lambda: stream.account.wrong == 1)

    async with served(spoil) as address:
        assert (await use(address, one_wrong)).wrong >= 1


async def test_stream_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steady, "HUNG_SECONDS", 0.02)

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            continue

    async def one_broken(stream: Steady) -> None:
        await until(lambda: stream.account.broken > 0)

    async with served(swallow) as address:
        account = await use(address, one_broken)
    assert account.lost >= PIECE


async def test_relay_carries_all_and_both_ends() -> None:
    async with (
        served(echo) as target,
        asyncio.TaskGroup() as tasks,
        cutter_before(target, tasks) as cutter,
    ):
        reader, writer = await asyncio.open_connection(*cutter.address.split(":"))
        data = bytes(range(256)) * 4096
        writer.write(data)
        writer.write_eof()
        assert await reader.read() == data
        writer.close()


def test_figures_are_of_all_applications_together() -> None:
    accounts = [Account(lost=3, broken=1, pauses=[0.1, 0.2]), Account(pauses=[0.3])]
    found = figures(accounts)
    assert (found["lost"], found["broken"]) == (3, 1)
    assert found["resume-p50"] == pytest.approx(200)
    assert found["resume-p95"] == pytest.approx(290)


@pytest.mark.parametrize(
    ("account", "reason"),
    [(Account(wrong=1, pauses=[1, 1]), "wrong bytes"), (Account(), "no stream was ever open")],
)
def test_figures_that_mean_nothing_are_none(account: Account, reason: str) -> None:
    with pytest.raises(BenchError, match=reason):
        figures([account])
