"""Requests that need no task: the same to a client, and left to the task when they are not so."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.unit.frontends.http.dialogue import (
    SECONDS,
    Bench,
    Dialled,
    RawClient,
    bench,
    field_of,
    origin,
)
from underpass.access import Principal
from underpass.address import Address
from underpass.errors import Failure, Forbidden, StreamReset
from underpass.frontends.http.state import FrontEndOptions
from underpass.net.route import Route
from underpass.net.stream import Stream
from underpass.net.transport import TransportStream
from underpass.observe import Counter
from underpass.testing import stream_pair

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LATER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlater"


def get(name: bytes, more: bytes = b"", method: bytes = b"GET") -> bytes:
    return b"%s http://%s/ HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (method, name, name, more)


async def ok(visitor: RawClient) -> None:
    while True:
        await visitor.head()
        await visitor.say(OK)


async def warm(client: RawClient, name: bytes) -> None:
    """The first request opens the server's stream, which is then kept."""
    await client.say(get(name))
    assert (await client.response())[1] == b"ok"


async def test_later_requests_are_answered_without_the_task(answered: list[bool]) -> None:
    async with origin(ok) as there, bench(Dialled()) as b, b.client() as client:
        await warm(client, there.name)
        for _ in range(3):
            await client.say(get(there.name))
            head, body = await client.response()
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert field_of(head, b"via") == b"1.1 underpass"
            assert field_of(head, b"connection") is None
            assert body == b"ok"
        assert answered == [True] * 3
        assert there.accepted == 1
        record = await b.record(3)
        assert (record.method, record.status, record.received) == ("GET", 200, 2)
        assert (record.address, record.reason) == (there.name.decode(), "ok")


async def test_head_has_no_body(answered: list[bool]) -> None:
    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(OK)
        assert (await visitor.head()).startswith(b"HEAD / HTTP/1.1\r\n")
        await visitor.say(OK[:-2])

    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await warm(client, there.name)
        await client.say(get(there.name, method=b"HEAD"))
        assert field_of(await client.head(), b"content-length") == b"2"
        assert answered == [True]


@pytest.mark.parametrize(
    ("response", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nlater\r\n0\r\n\r\n", b"later"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" + LATER, b"later"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nlater", b"later"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nWWW-Authenticate: NTLM\r\n\r\nlater", b"later"),
        (LATER + OK, b"later"),
    ],
    ids=["chunked", "interim", "last of its stream", "bound", "two at once"],
)
async def test_a_response_that_is_not_simple_is_brought_by_the_task(
    answered: list[bool], response: bytes, body: bytes
) -> None:
    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(OK)
        await visitor.head()
        await visitor.say(response)

    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await warm(client, there.name)
        await client.say(get(there.name, b"Connection: close\r\n"))
        assert await client.rest() != b""
        assert answered == []
    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await warm(client, there.name)
        await client.say(get(there.name))
        async with asyncio.timeout(SECONDS):
            assert await client.reader.readuntil(body)
        assert answered == [False]
        assert (await b.record(1)).received == len(body)


async def test_a_response_in_pieces_is_brought_by_the_task(answered: list[bool]) -> None:
    go_on = asyncio.Event()

    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(OK)
        await visitor.head()
        await visitor.say(LATER[:-3])
        await go_on.wait()
        await visitor.say(LATER[-3:])
        await visitor.head()
        await visitor.say(OK)

    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await warm(client, there.name)
        await client.say(get(there.name))
        head = await client.head()
        go_on.set()
        assert field_of(head, b"content-length") == b"5"
        assert await client.exactly(5) == b"later"
        # And then as before.
        await client.say(get(there.name))
        assert (await client.response())[1] == b"ok"
        assert answered == [False, True]


async def test_a_server_that_ends_instead_is_asked_again_elsewhere(answered: list[bool]) -> None:
    async def once(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(OK)
        if there.accepted == 1:
            await visitor.head()

    async with origin(once) as there, bench(Dialled()) as b, b.client() as client:
        await warm(client, there.name)
        await client.say(get(there.name))
        assert (await client.response())[1] == b"ok"
        assert there.accepted == 2
        assert answered == [False]
        assert len(b.records) == 2


async def test_a_malformed_response_is_refused_by_the_task() -> None:
    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(OK)
        await visitor.head()
        await visitor.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok")

    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await warm(client, there.name)
        await client.say(get(there.name))
        assert (await client.head()).startswith(b"HTTP/1.1 502 ")


@pytest.mark.parametrize(
    "more",
    [b"Expect: 100-continue\r\n", b"TE: trailers\r\n", b"Via: 1.1 other\r\n", b"X: y\r\n"],
)
async def test_fields_arrive_whoever_answers(more: bytes) -> None:
    heads: list[bytes] = []

    async def script(visitor: RawClient) -> None:
        while True:
            heads.append(await visitor.head())
            await visitor.say(OK)

    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        for _ in range(2):
            await client.say(get(there.name, more))
            assert (await client.response())[1] == b"ok"
        assert heads[0] == heads[1]


async def test_pipelined_requests_are_answered_in_order(answered: list[bool]) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(OK)
        await visitor.head()
        asked.set()
        await go_on.wait()
        await visitor.say(LATER)
        await visitor.head()
        await visitor.say(OK)

    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await warm(client, there.name)
        await client.say(get(there.name))
        await asked.wait()
        await client.say(get(there.name))
        go_on.set()
        assert (await client.response())[1] == b"later"
        assert (await client.response())[1] == b"ok"
        assert answered == [True]


async def test_a_slow_server_is_waited_for_by_the_task(
    answered: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("underpass.frontends.http.quick.LOOK_SECONDS", 0.01)
    options = FrontEndOptions(response_timeout=0.05)

    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(OK)
        await visitor.rest()

    async with origin(script) as there, bench(Dialled(), options) as b, b.client() as client:
        await warm(client, there.name)
        await client.say(get(there.name))
        assert (await client.response())[0].startswith(b"HTTP/1.1 504 ")
        assert answered == []


async def test_a_client_that_says_nothing_more_is_let_go() -> None:
    options = FrontEndOptions(keep_alive_timeout=0.02)
    async with origin(ok) as there, bench(Dialled(), options) as b, b.client() as client:
        await warm(client, there.name)
        await client.say(get(there.name))
        await client.response()
        assert await client.rest() == b""
        assert len(b.records) == 2


async def under_way(b: Bench, client: RawClient, name: bytes, asked: asyncio.Event) -> None:
    await warm(client, name)
    await client.say(get(name))
    await asked.wait()
    assert len(b.records) == 1


async def test_draining_lets_what_is_under_way_finish(answered: list[bool]) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(OK)
        await visitor.head()
        asked.set()
        await go_on.wait()
        await visitor.say(OK)

    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await under_way(b, client, there.name, asked)
        b.front_end.drain()
        go_on.set()
        head, body = await client.response()
        assert (field_of(head, b"connection"), body) == (b"close", b"ok")
        assert await client.rest() == b""
        assert answered == [False]


async def test_a_client_that_is_ended_meanwhile_takes_its_request_along() -> None:
    asked, reset = asyncio.Event(), asyncio.Event()

    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(OK)
        await visitor.head()
        asked.set()
        with pytest.raises(ConnectionResetError):
            await visitor.rest()
        reset.set()

    async with origin(script) as there:
        async with bench(Dialled()) as b, b.client() as client:
            await under_way(b, client, there.name, asked)
        async with asyncio.timeout(SECONDS):
            await reset.wait()
    record = b.records[1]
    assert (record.status, record.reason) == (0, "ended by this proxy")


async def test_a_client_that_is_gone_meanwhile_is_told_of() -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(OK)
        await visitor.head()
        asked.set()
        await go_on.wait()
        await visitor.say(OK)

    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await under_way(b, client, there.name, asked)
        client.reset()
        # The reset has arrived when an echo over another stream has.
        async with b.client() as other:
            await warm(other, there.name)
        go_on.set()
        assert "reset" in (await b.record(2)).reason


async def test_a_stream_that_is_no_transports_is_the_tasks(answered: list[bool]) -> None:
    class Tunnelled(Dialled):
        """Opens streams in memory."""

        opened = 0

        async def _dial(self, address: Address) -> Stream:
            self.opened += 1
            here, there = stream_pair()
            tasks.create_task(self.serve(there))
            return here

        async def serve(self, there: Stream) -> None:
            while await there.receive():
                await there.send(OK)

    outbound = Tunnelled()
    async with asyncio.TaskGroup() as tasks, bench(outbound) as b, b.client() as client:
        for _ in range(3):
            await warm(client, b"192.0.2.1")
        assert (outbound.opened, answered) == (1, [])
        b.front_end.drain()


@pytest.mark.parametrize("fault", [None, StreamReset("reset")], ids=["full", "lost"])
async def test_a_kept_stream_that_takes_no_request_is_replaced(
    answered: list[bool], monkeypatch: pytest.MonkeyPatch, fault: StreamReset | None
) -> None:
    faults = [fault]
    send_at_once = TransportStream.send_at_once

    def failing(self: TransportStream, data: bytes) -> bool:
        if not (data.startswith(b"GET /later ") and faults):
            return send_at_once(self, data)
        if error := faults.pop():
            raise error
        return False

    async with origin(ok) as there, bench(Dialled()) as b, b.client() as client:
        await warm(client, there.name)
        monkeypatch.setattr(TransportStream, "send_at_once", failing)
        await client.say(get(there.name).replace(b"/ HTTP", b"/later HTTP"))
        assert (await client.response())[1] == b"ok"
        assert (there.accepted, faults, answered) == (2, [], [])


async def test_policy_is_asked_at_every_request() -> None:
    class Closing(Dialled):
        """Lets the first request through, and nothing after it."""

        def route_for(self, principal: Principal, address: Address) -> Route:
            if self.principals:
                raise Forbidden(Failure.FORBIDDEN, "not any more")
            return super().route_for(principal, address)

    async with origin(ok) as there, bench(Closing()) as b, b.client() as client:
        await warm(client, there.name)
        await client.say(get(there.name))
        assert (await client.response())[0].startswith(b"HTTP/1.1 403 ")
        assert len(there.problems) == 0


async def test_a_bug_ends_its_own_client_alone(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Dialled):
        """Has a bug that the second request meets."""

        def route_for(self, principal: Principal, address: Address) -> Route:
            if len(self.principals) == 1:
                self.principals.append(principal)
                raise ZeroDivisionError("the bug")
            return super().route_for(principal, address)

    async with origin(ok) as there, bench(Broken()) as b, b.client() as client:
        await warm(client, there.name)
        await client.say(get(there.name))
        # How the loop ends a stream whose call failed is its own affair.
        with contextlib.suppress(ConnectionResetError):
            assert await client.rest() == b""
        assert "the bug" in caplog.text
        async with asyncio.timeout(SECONDS):
            while b.counters.value(Counter.CONNECTIONS_OPEN):
                await asyncio.sleep(0.001)
        async with b.client() as other:
            await warm(other, there.name)
