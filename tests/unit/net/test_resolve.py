"""Looking names up: once, off the loop, bounded; a dead name server holds nobody else up."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from underpass.errors import DialError, Failure
from underpass.net import resolve
from underpass.net.resolve import Resolver, system_lookup

SECONDS = 5.0


class NameServer:
    """Answers by a table; a name that is not in it hangs until the test ends."""

    def __init__(self, **answers: list[str] | Exception) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.over = threading.Event()

    def __call__(self, host: str) -> list[str]:
        self.asked.append(host)
        answer = self.answers.get(host)
        if answer is None:
            self.over.wait(SECONDS)
            return ["192.0.2.99"]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def server() -> Iterator[NameServer]:
    one = NameServer()
    yield one
    one.over.set()


async def fails(resolver: Resolver, host: str) -> DialError:
    with pytest.raises(DialError) as caught:
        await resolver.resolve(host)
    return caught.value


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0)


async def test_addresses_come_in_their_order_without_doubles(server: NameServer) -> None:
    server.answers["a"] = ["2001:db8::1", "192.0.2.1", "2001:db8::1", "192.0.2.2"]
    found = await Resolver(SECONDS, server).resolve("a")
    assert [str(ip) for ip in found] == ["2001:db8::1", "192.0.2.1", "192.0.2.2"]


async def test_an_ipv4_in_an_ipv6_is_that_ipv4(server: NameServer) -> None:
    server.answers["a"] = ["::ffff:10.0.0.1", "10.0.0.1"]
    assert await Resolver(SECONDS, server).resolve("a") == (ipaddress.ip_address("10.0.0.1"),)


async def test_an_address_with_a_zone_is_none(server: NameServer) -> None:
    server.answers["a"] = ["fe80::1%eth0", "192.0.2.1"]
    assert len(await Resolver(SECONDS, server).resolve("a")) == 1
    server.answers["b"] = ["fe80::1%eth0"]
    assert (await fails(Resolver(SECONDS, server), "b")).parameters == {"rcode": "NOERROR"}


@pytest.mark.parametrize(
    ("error", "rcode"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown"), "NXDOMAIN"),
        (socket.gaierror(socket.EAI_NODATA, "no address"), "NOERROR"),
        (socket.gaierror(socket.EAI_AGAIN, "again"), "SERVFAIL"),
        (socket.gaierror(socket.EAI_FAIL, "failed"), "SERVFAIL"),
        (socket.gaierror(socket.EAI_SYSTEM, "odd"), "SERVFAIL"),
        (UnicodeError("label too long"), "SERVFAIL"),
    ],
)
async def test_a_failure_is_told_with_its_code(
    server: NameServer, error: Exception, rcode: str
) -> None:
    server.answers["a"] = error
    failed = await fails(Resolver(SECONDS, server), "a")
    assert (failed.failure, failed.parameters) == (Failure.DNS_ERROR, {"rcode": rcode})


async def test_no_answer_is_a_time_out(server: NameServer) -> None:
    failed = await fails(Resolver(0.01, server), "hangs")
    assert failed.failure is Failure.DNS_TIMEOUT
    assert failed.details == "hangs after 0.01 s"


async def test_look_ups_of_one_name_at_once_are_one(server: NameServer) -> None:
    resolver = Resolver(SECONDS, server)
    async with asyncio.TaskGroup() as tasks:
        found = [tasks.create_task(resolver.resolve("a")) for _ in range(10)]
        await until(lambda: server.asked == ["a"])
        server.over.set()
    assert {task.result() for task in found} == {(ipaddress.ip_address("192.0.2.99"),)}
    assert server.asked == ["a"]


async def test_nothing_is_remembered(server: NameServer) -> None:
    resolver = Resolver(SECONDS, server)
    server.answers["a"] = ["192.0.2.1"]
    await resolver.resolve("a")
    server.answers["a"] = ["192.0.2.2"]
    assert await resolver.resolve("a") == (ipaddress.ip_address("192.0.2.2"),)


async def test_who_gives_up_takes_nothing_from_others(server: NameServer) -> None:
    resolver = Resolver(SECONDS, server)
    async with asyncio.TaskGroup() as tasks:
        one = tasks.create_task(resolver.resolve("a"))
        other = tasks.create_task(resolver.resolve("a"))
        await until(lambda: bool(server.asked))
        one.cancel()
        await until(one.cancelled)
        server.over.set()
    assert other.result()


async def test_sixty_four_names_without_an_answer_hold_nobody_up(server: NameServer) -> None:
    resolver = Resolver(SECONDS, server)
    server.answers["good"] = ["192.0.2.1"]
    async with asyncio.TaskGroup() as tasks:
        for number in range(64):
            tasks.create_task(resolver.resolve(f"dead{number}"))
        await until(lambda: len(server.asked) == 64)
        async with asyncio.timeout(1):
            assert await resolver.resolve("good")
        server.over.set()


async def test_more_names_than_the_bound_are_refused(
    server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolve, "MAX_LOOKUPS", 2)
    resolver = Resolver(SECONDS, server)
    async with asyncio.TaskGroup() as tasks:
        for name in ("a", "b"):
            tasks.create_task(resolver.resolve(name))
        await until(lambda: len(server.asked) == 2)
        assert (await fails(resolver, "c")).failure is Failure.CONNECTION_LIMIT
        server.over.set()
    server.answers["c"] = ["192.0.2.1"]
    await until(lambda: not resolver._pending)
    assert await resolver.resolve("c")


async def test_a_failure_that_nobody_waits_for_is_no_news(server: NameServer) -> None:
    failed = threading.Event()

    def lookup(host: str) -> list[str]:
        server.over.wait(SECONDS)
        failed.set()
        raise socket.gaierror(socket.EAI_AGAIN, "too late")

    resolver = Resolver(0.01, lookup)
    await fails(resolver, "a")
    server.over.set()
    await until(failed.is_set)
    await until(lambda: not resolver._pending)


def test_an_answer_after_the_end_of_the_loop_is_dropped(server: NameServer) -> None:
    with asyncio.Runner() as runner:
        runner.run(fails(Resolver(0.01, server), "a"))
    server.over.set()
    for thread in threading.enumerate():
        if thread.name == "dns a":
            thread.join(SECONDS)
            assert not thread.is_alive()


def test_the_system_knows_loopback() -> None:
    assert "127.0.0.1" in system_lookup("127.0.0.1")
    assert {"127.0.0.1", "::1"} & set(system_lookup("localhost"))
