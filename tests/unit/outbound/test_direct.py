"""Direct dials on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Iterator

import pytest

from underpass.address import Address, IPAddress
from underpass.errors import DialError, Failure
from underpass.net.resolve import Resolver
from underpass.outbound.direct import Direct, DirectOptions

HERE = ipaddress.ip_address("127.0.0.1")
DEAD = ipaddress.ip_address("127.0.0.2")
GONE = ipaddress.ip_address("127.0.0.3")


@pytest.fixture
def port() -> Iterator[int]:
    """A port where 127.0.0.1 accepts, 127.0.0.2 answers nothing, 127.0.0.3 refuses."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((str(HERE), 0)))
        number: int = listener.getsockname()[1]
        dead = stack.enter_context(socket.socket())
        dead.bind((str(DEAD), number))
        dead.listen(0)
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(dead.getsockname())
        yield number


def never(host: str) -> list[str]:
    raise AssertionError(host)


def direct(timeout: float = 5.0) -> Direct:
    return Direct(Resolver(5.0, never), DirectOptions(timeout, attempt_delay=0.01))


async def connected(candidates: list[IPAddress], port: int) -> Address | None:
    stream = await direct().connect(candidates, port)
    address = stream.peer
    stream.abort()
    await asyncio.sleep(0)
    return address


async def test_a_literal_is_not_looked_up() -> None:
    assert await direct().resolve(Address("127.0.0.1", 80)) == (HERE,)
    assert await direct().resolve(Address("::1", 80)) == (ipaddress.ip_address("::1"),)


async def test_a_name_is_looked_up() -> None:
    dial = Direct(Resolver(5.0, lambda host: [f"192.0.2.{len(host)}"]))
    assert await dial.resolve(Address("four", 80)) == (ipaddress.ip_address("192.0.2.4"),)


async def test_the_first_that_answers_is_connected_to(port: int) -> None:
    for candidates in ([HERE], [HERE, DEAD], [DEAD, HERE], [GONE, HERE], [DEAD, GONE, HERE]):
        assert await connected(candidates, port) == Address(str(HERE), port)


async def test_one_that_refuses_is_told(port: int) -> None:
    for candidates in ([GONE], [GONE, GONE]):
        with pytest.raises(DialError) as caught:
            await direct().connect(candidates, port)
        assert caught.value.failure is Failure.CONNECTION_REFUSED


async def test_silence_is_a_time_out_for_all_together(port: int) -> None:
    with pytest.raises(DialError, match=f"2 addresses, port {port}, after 0.05 s") as caught:
        await direct(0.05).connect([DEAD, DEAD], port)
    assert caught.value.failure is Failure.CONNECTION_TIMEOUT


async def test_a_cancelled_dial_leaves_no_task(port: int) -> None:
    before = asyncio.all_tasks()
    async with asyncio.TaskGroup() as tasks:
        dialling = tasks.create_task(direct().connect([DEAD, DEAD], port))
        await asyncio.sleep(0.02)
        dialling.cancel()
    assert asyncio.all_tasks() == before
