"""CONNECT as dialogues: what starts a tunnel, what does not, and how it ends."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.frontends.http.dialogue import (
    SECONDS,
    Dialled,
    RawClient,
    bench,
    field_of,
    origin,
    stage,
)
from tests.unit.net.test_message_stream import Scripted
from underpass.address import Address
from underpass.errors import DialError, Failure, StreamReset
from underpass.frontends.http.connect import tunnel
from underpass.net.relay import Ending, RelayTimeouts, Transfer
from underpass.net.stream import Stream

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


async def echo(visitor: RawClient) -> None:
    while data := await visitor.reader.read(65536):
        await visitor.say(data)


async def silent(visitor: RawClient) -> None:
    await visitor.rest()


async def test_tunnel_stands_after_a_bare_2xx_and_relays() -> None:
    async with origin(echo) as there, stage() as s, s.client() as client:
        await client.say(b"CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (there.name, there.name))
        assert await client.head() == ESTABLISHED
        await client.say(b"ping")
        assert await client.exactly(4) == b"ping"
        client.finish()
        assert await client.rest() == b""
        record = await s.record()
        assert (record.method, record.status, record.sent, record.received, record.reason) == (
            "CONNECT",
            200,
            4,
            4,
            "ok",
        )


async def test_bytes_with_the_head_are_delivered_once_after_the_2xx() -> None:
    async with origin(echo) as there, stage() as s, s.client() as client:
        await client.say(b"CONNECT %s HTTP/1.1\r\nHost: x\r\n\r\nearly" % there.name)
        assert await client.head() == ESTABLISHED
        client.finish()
        assert await client.rest() == b"early"


@pytest.mark.parametrize("host", [b"", b"Host: somewhere.else:1\r\n"])
async def test_http_1_0_and_any_host_will_do(host: bytes) -> None:
    async with origin(echo) as there, stage() as s, s.client() as client:
        await client.say(b"CONNECT %s HTTP/1.0\r\n%s\r\n" % (there.name, host))
        assert await client.head() == ESTABLISHED


@pytest.mark.parametrize(
    "target",
    [
        *(b"h:1/", b"h:1?", b"h:1#", b"user:pass@h:1", b"http://h:1", b"h", b"h:", b":1", b":"),
        *(b"h:65536", b"h:rubbish", b"h:0", b"h:+80", b"::1:80", b"[::1", b"[::1%25eth0]:1", b"/"),
        *(b"127.1:80", b"0x7f.1:80", b"2130706433:80", b"h%00:1", b"a" * 256 + b":1"),
    ],
)
async def test_bad_targets_are_refused_and_the_stream_ends(target: bytes) -> None:
    async with stage() as s, s.client() as client:
        await client.say(b"CONNECT %s HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\n\r\n" % target)
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 400 ")
        assert field_of(head, b"connection") == b"close"
        assert await client.rest() == b""


async def test_early_bytes_of_a_refused_connect_go_nowhere() -> None:
    async with bench(Dialled(DialError(Failure.CONNECTION_REFUSED))) as b, b.client() as client:
        await client.say(b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n" * 2)
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 502 ")
        assert await client.rest() == b""
        assert len(b.records) == 1


async def test_many_early_bytes_come_in_order_and_once() -> None:
    early = bytes(range(256)) * 4096
    async with origin(echo) as there, stage() as s, s.client() as client:
        connect = b"CONNECT %s HTTP/1.1\r\nHost: h\r\n\r\n" % there.name
        async with asyncio.TaskGroup() as tasks:
            saying = tasks.create_task(client.say(connect + early))
            assert await client.head() == ESTABLISHED
            assert await client.exactly(len(early)) == early
            await saying
        client.finish()
        assert await client.rest() == b""


async def test_nothing_is_said_before_the_stream_stands() -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Dialled):
        async def _dial(self, address: Address) -> Stream:
            asked.set()
            await go_on.wait()
            return await super()._dial(address)

    async with origin(echo) as there, bench(Slow()) as b, b.client() as client:
        await client.say(b"CONNECT %s HTTP/1.1\r\nHost: h\r\n\r\nearly" % there.name)
        await asked.wait()
        assert there.accepted == 0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await client.reader.read(1)
        go_on.set()
        assert await client.head() == ESTABLISHED
        assert await client.exactly(5) == b"early"


async def test_an_expectation_of_a_body_means_nothing_where_there_is_none() -> None:
    async with origin(echo) as there, stage() as s, s.client() as client:
        connect = b"CONNECT %s HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n"
        await client.say(connect % there.name)
        assert await client.head() == ESTABLISHED


async def test_each_direction_ends_on_its_own() -> None:
    async def speaks_last(visitor: RawClient) -> None:
        assert await visitor.rest() == b"request"
        await visitor.say(b"answer")

    async def speaks_first(visitor: RawClient) -> None:
        await visitor.say(b"banner")
        visitor.finish()
        assert await visitor.rest() == b"reply"

    async with stage() as s:
        async with origin(speaks_last) as there, s.client() as client:
            await client.say(b"CONNECT %s HTTP/1.1\r\nHost: h\r\n\r\nrequest" % there.name)
            client.finish()
            await client.head()
            assert await client.rest() == b"answer"
            assert there.problems == []
        async with origin(speaks_first) as there, s.client() as client:
            await client.say(b"CONNECT %s HTTP/1.1\r\nHost: h\r\n\r\n" % there.name)
            await client.head()
            assert await client.rest() == b"banner"
            await client.say(b"reply")
            client.finish()
            await s.record(1)
            assert there.problems == []


async def test_the_last_byte_before_an_end_is_never_lost() -> None:
    size = 4 * 1024 * 1024

    async def pours(visitor: RawClient) -> None:
        await visitor.say(bytes(size))

    async with origin(pours) as there, stage() as s, s.client() as client:
        await client.say(b"CONNECT %s HTTP/1.1\r\nHost: h\r\n\r\n" % there.name)
        await client.head()
        assert len(await client.rest()) == size


async def test_a_client_that_left_while_we_dialled_leaves_no_tunnel() -> None:
    client, destination = Scripted(takes=StreamReset("gone")), Scripted()
    transfer = await tunnel(client, destination, RelayTimeouts())
    assert transfer == Transfer(0, 0, Ending.LEFT_RESET)
    assert client.aborted
    assert destination.aborted


@pytest.mark.parametrize("length", [b"Content-Length: 4", b"Transfer-Encoding: chunked"])
async def test_a_body_on_connect_is_refused(length: bytes) -> None:
    async with origin(silent) as there, stage() as s, s.client() as client:
        await client.say(b"CONNECT %s HTTP/1.1\r\nHost: h\r\n%s\r\n\r\nbody" % (there.name, length))
        assert (await client.head()).startswith(b"HTTP/1.1 400 ")
        assert there.accepted == 0


async def test_a_refused_connect_closes_and_processes_nothing_after_it() -> None:
    async with origin(silent) as there, stage(allow=()) as s, s.client() as client:
        smuggled = b"GET http://%s/evil HTTP/1.1\r\nHost: %s\r\n\r\n" % (there.name, there.name)
        await client.say(b"CONNECT %s HTTP/1.1\r\nHost: h\r\n\r\n" % there.name + smuggled)
        head, body = await client.response()
        assert head.startswith(b"HTTP/1.1 403 ")
        assert field_of(head, b"connection") == b"close"
        assert b"error=destination_ip_prohibited" in (field_of(head, b"proxy-status") or b"")
        assert b"127.0.0.1" in body
        assert await client.rest() == b""
        assert there.accepted == 0


async def test_a_dead_port_is_a_502_with_its_reason() -> None:
    async with origin(silent) as there:
        port = there.port
    async with stage() as s, s.client() as client:
        await client.say(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: h\r\n\r\n" % port)
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 502 ")
        assert b"error=connection_refused" in (field_of(head, b"proxy-status") or b"")
        assert (await s.record()).reason.startswith("connection refused")


async def test_the_proxy_itself_is_no_destination() -> None:
    async with stage() as s, s.client() as client:
        await client.say(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: h\r\n\r\n" % s.port)
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 502 ")
        assert b"error=proxy_loop_detected" in (field_of(head, b"proxy-status") or b"")


async def test_a_reset_of_the_client_resets_the_destination() -> None:
    seen: asyncio.Future[type[BaseException]] = asyncio.get_running_loop().create_future()

    async def waits(visitor: RawClient) -> None:
        await visitor.say(b"hello")
        try:
            await visitor.rest()
        except ConnectionResetError as error:
            seen.set_result(type(error))

    async with origin(waits) as there, stage() as s, s.client() as client:
        await client.say(b"CONNECT %s HTTP/1.1\r\nHost: h\r\n\r\n" % there.name)
        await client.head()
        await client.exactly(5)
        client.reset()
        assert (await s.record()).reason == "reset by client"
        async with asyncio.timeout(SECONDS):
            assert await seen is ConnectionResetError


async def test_a_reset_of_the_destination_resets_the_client() -> None:
    async def resets(visitor: RawClient) -> None:
        await visitor.say(b"hello")
        await visitor.exactly(1)
        visitor.reset()

    async with origin(resets) as there, stage() as s, s.client() as client:
        await client.say(b"CONNECT %s HTTP/1.1\r\nHost: h\r\n\r\n" % there.name)
        await client.head()
        await client.exactly(5)
        await client.say(b"x")
        with pytest.raises(ConnectionResetError):
            await client.rest()
        assert (await s.record()).reason == "reset by destination"
