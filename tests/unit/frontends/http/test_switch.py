"""A server that switches protocols: what is told of it, and which bytes go where."""

from __future__ import annotations

import pytest

from tests.unit.frontends.http.dialogue import Dialled, RawClient, bench, field_of, origin
from tests.unit.frontends.http.test_response import OK, get, says

SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n%s\r\n"
ASK = b"Connection: Upgrade\r\nUpgrade: chat\r\n"


async def test_a_switch_is_told_with_its_fields_and_the_bytes_behind_it() -> None:
    fields = b"Upgrade: chat\r\nContent-Length: 5\r\nSec-WebSocket-Accept: x\r\n"

    async def script(visitor: RawClient) -> None:
        assert field_of(await visitor.head(), b"connection") == b"Upgrade"
        await visitor.say(SWITCH % fields + b"first")
        assert await visitor.rest() == b"early later"
        await visitor.say(b" last")

    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await client.say(get(there.name, ASK) + b"early")
        head = await client.head()
        assert field_of(head, b"connection") == b"Upgrade"
        assert field_of(head, b"upgrade") == b"chat"
        assert field_of(head, b"sec-websocket-accept") == b"x"
        assert field_of(head, b"content-length") is None
        assert await client.exactly(5) == b"first"
        await client.say(b" later")
        client.finish()
        assert await client.rest() == b" last"
        assert there.problems == []
        record = await b.record()
        assert (record.status, record.sent, record.received) == (101, 11, 10)


@pytest.mark.parametrize(
    "named", [b"", b"Upgrade:\r\n", b"Upgrade:\r\nUpgrade:\r\n", b"Upgrade: chat\r\nUpgrade:\r\n"]
)
async def test_a_switch_that_names_no_protocol_is_to_what_was_asked_for(named: bytes) -> None:
    async with origin(says(SWITCH % named)) as there, bench(Dialled()) as b, b.client() as client:
        await client.say(get(there.name, ASK))
        assert field_of(await client.head(), b"upgrade") == b"chat"


async def test_bytes_behind_a_declined_upgrade_never_reach_the_server() -> None:
    got = b""

    async def script(visitor: RawClient) -> None:
        nonlocal got
        await visitor.head()
        await visitor.say(OK)
        got = await visitor.rest()

    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await client.say(get(there.name, ASK) + b"\x81\x85mask")
        assert (await client.response())[1] == b"ok"
        # They are no request either.
        assert (await client.response())[0].startswith(b"HTTP/1.1 400 ")
        assert await client.rest() == b""
    assert got == b""


async def test_a_switch_of_a_client_of_http_1_0_or_within_a_body_is_a_502() -> None:
    async with origin(says(SWITCH % b"Upgrade: chat\r\n")) as there, bench(Dialled()) as b:
        async with b.client() as client:
            await client.say(get(there.name, ASK, version=b"1.0"))
            assert (await client.head()).startswith(b"HTTP/1.1 502 ")
        async with b.client() as client:
            await client.say(get(there.name, ASK + b"Content-Length: 5\r\n") + b"half")
            assert (await client.head()).startswith(b"HTTP/1.1 502 ")
