"""The pool: kept under who asked and where it goes, given out once, never past its time."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.net.stream_kinds import tls
from tests.unit.net.test_message_stream import Scripted
from tests.unit.net.test_transport import MakePair, until
from underpass.access import Principal
from underpass.address import Address
from underpass.frontends.http import pool as pool_module
from underpass.frontends.http.pool import Pool, PoolKey, PoolLimits, Server
from underpass.net.message_stream import MessageStream
from underpass.protocol.http.message import ResponseReader

ALICE, BOB = Principal("alice"), Principal("bob")
HERE = Address.parse("192.0.2.1:80")
KEY = PoolKey(ALICE, "127.0.0.1", HERE, 0)


class Kept(Scripted):
    """A server's stream that is quiet until the server says or ends something."""

    quiet = True
    closed = False

    def close_soon(self) -> None:
        self.closed = True

    @property
    def is_quiet(self) -> bool:
        return self.quiet


def server() -> tuple[Kept, Server]:
    stream = Kept()
    return stream, MessageStream(stream, ResponseReader())


def test_the_last_one_kept_is_the_first_one_taken() -> None:
    pool = Pool(PoolLimits())
    servers = [server()[1] for _ in range(3)]
    for one in servers:
        pool.keep(KEY, one, 0)
    assert len(pool) == 3
    assert [pool.take(KEY) for _ in range(4)] == [*reversed(servers), None]
    assert len(pool) == 0


@pytest.mark.parametrize(
    "key",
    [
        PoolKey(BOB, "127.0.0.1", HERE, 0),
        PoolKey(Principal("(anonymous)"), "127.0.0.1", HERE, 0),
        PoolKey(ALICE, "127.0.0.2", HERE, 0),
        PoolKey(ALICE, "127.0.0.1", Address.parse("192.0.2.1:81"), 0),
        PoolKey(ALICE, "127.0.0.1", HERE, 1),
    ],
)
def test_nobody_else_is_given_it(key: PoolKey) -> None:
    pool = Pool(PoolLimits())
    pool.keep(KEY, server()[1], 0)
    assert pool.take(key) is None
    assert pool.take(KEY) is not None


def test_one_that_the_server_ended_or_spoke_on_is_let_go() -> None:
    pool = Pool(PoolLimits())
    old, first = server()
    new, second = server()
    pool.keep(KEY, first, 0)
    pool.keep(KEY, second, 0)
    new.quiet = False
    assert pool.take(KEY) is first
    assert (old.closed, new.closed) == (False, True)
    old.quiet = False
    pool.keep(KEY, first, 0)
    assert old.closed
    assert len(pool) == 0


def test_there_are_no_more_than_the_limits() -> None:
    pool = Pool(PoolLimits(per_key=1))
    pool.keep(KEY, server()[1], 0)
    stream, other = server()
    pool.keep(KEY, other, 0)
    assert stream.closed
    assert len(pool) == 1
    pool.limits = PoolLimits(per_key=0)
    pool.clear()
    stream, other = server()
    pool.keep(KEY, other, 0)
    assert stream.closed


def test_there_are_no_more_than_the_limit_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "POOL_TOTAL", 2)
    pool = Pool(PoolLimits())
    streams = []
    for port in (1, 2, 3):
        stream, one = server()
        pool.keep(PoolKey(ALICE, "127.0.0.1", Address.of("192.0.2.1", port), 0), one, 0)
        streams.append(stream)
    assert [stream.closed for stream in streams] == [False, False, True]


def test_what_is_old_or_ended_expires() -> None:
    pool = Pool(PoolLimits(idle_timeout=30))
    old, first = server()
    ended, second = server()
    young, third = server()
    pool.keep(KEY, first, 100)
    pool.keep(KEY, second, 120)
    pool.keep(KEY, third, 120)
    other, fourth = server()
    pool.keep(PoolKey(BOB, "127.0.0.1", HERE, 0), fourth, 100)
    ended.quiet = False
    pool.expire(130)
    assert (old.closed, ended.closed, young.closed, other.closed) == (True, True, False, True)
    assert len(pool) == 1
    assert pool.take(KEY) is third


async def test_one_that_stirs_is_closed_and_makes_room(make_pair: MakePair) -> None:
    pool = Pool(PoolLimits(per_key=2))
    others = []
    servers = []
    for _ in range(2):
        stream, other = await make_pair()
        others.append(other)
        servers.append(MessageStream(stream, ResponseReader()))
        pool.keep(KEY, servers[-1], 0)
    others[1].send(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    await until(lambda: len(pool) == 1)
    others[0].close()
    await until(lambda: len(pool) == 0)
    assert pool.take(KEY) is None
    await until(lambda: all(server.stream.is_lost for server in servers))


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
async def test_one_that_stirs_within_tls_is_closed_too(says: bytes) -> None:
    pool = Pool(PoolLimits())
    async with tls() as (here, there):
        pool.keep(KEY, MessageStream(here, ResponseReader()), 0)
        if says:
            await there.send(says)
        else:
            await there.close()
        await until(lambda: here.is_lost)
        assert len(pool) == 0


async def test_one_that_was_taken_is_its_takers(make_pair: MakePair) -> None:
    pool = Pool(PoolLimits())
    stream, other = await make_pair()
    pool.keep(KEY, MessageStream(stream, ResponseReader()), 0)
    assert pool.take(KEY) is not None
    other.send(b"answer")
    assert await stream.receive() == b"answer"


async def test_one_that_was_let_go_is_not_looked_for(make_pair: MakePair) -> None:
    pool = Pool(PoolLimits())
    stream, _ = await make_pair()
    pool.keep(KEY, MessageStream(stream, ResponseReader()), 0)
    kept, one = server()
    pool.clear()
    pool.keep(KEY, one, 0)
    await until(lambda: stream.is_lost)
    assert len(pool) == 1
    assert not kept.closed


def test_clear_lets_all_go() -> None:
    pool = Pool(PoolLimits())
    stream, one = server()
    pool.keep(KEY, one, 1e12)
    pool.clear()
    assert stream.closed
    assert pool.take(KEY) is None


async def test_sweep_expires_by_itself() -> None:
    pool = Pool(PoolLimits(idle_timeout=0.004))
    stream, one = server()
    pool.keep(KEY, one, asyncio.get_running_loop().time())
    async with asyncio.TaskGroup() as tasks:
        sweeping = tasks.create_task(pool.sweep())
        async with asyncio.timeout(5):
            while not stream.closed:
                await asyncio.sleep(0.001)
        sweeping.cancel()
    assert len(pool) == 0
