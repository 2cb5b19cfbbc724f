"""The client's opening of a WebSocket; the conformance suite has the rest."""

from __future__ import annotations

import re

import pytest

from tests.unit.carriers.script import ScriptedFeed, client_of
from tests.unit.frontends.http.dialogue import RawClient, field_of, origin
from underpass.carriers import websocket
from underpass.carriers.base import CarrierError
from underpass.carriers.pacing import Pacing
from underpass.carriers.websocket import WebSocketCarrier
from underpass.carriers.websocket_messages import accept_value


def switching(key: bytes) -> bytes:
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Accept: %s\r\n\r\n" % accept_value(key)
    )


async def test_the_first_message_is_the_answer() -> None:
    heads: list[bytes] = []

    async def script(visitor: RawClient) -> None:
        heads.append(await visitor.head())
        key = field_of(heads[0], b"sec-websocket-key") or b""
        await visitor.say(switching(key) + b"\x82\x07welcome\x82\x04more")
        await visitor.rest()

    async with origin(script) as one:
        carrier = WebSocketCarrier(client_of(one.port), Pacing())
        assert await carrier.open(b"\1\2\3") == b"welcome"
        carrier.abort()
    assert re.match(rb"GET /[A-Za-z0-9_-]{22}/AQID HTTP/1.1\r\n", heads[0])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP 200"),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "HTTP 302"),
        (switching(b"another"), "not for our WebSocket"),
        (b"\0\1\2", "NUL in a head"),
        (b"", "without an answer"),
    ],
)
async def test_what_is_no_websocket_says_why(answer: bytes, reason: str) -> None:
    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(answer)

    async with origin(script) as one:
        carrier = WebSocketCarrier(client_of(one.port), Pacing())
        with pytest.raises(CarrierError, match=reason):
            await carrier.open(b"\1\2\3")
        carrier.abort()


async def test_one_over_which_nothing_comes_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "OPEN_SECONDS", 0.05)

    async def script(visitor: RawClient) -> None:
        key = field_of(await visitor.head(), b"sec-websocket-key") or b""
        await visitor.say(switching(key))
        await visitor.rest()

    async with origin(script) as one:
        carrier = WebSocketCarrier(client_of(one.port), Pacing())
        with pytest.raises(CarrierError, match="nothing comes"):
            await carrier.open(b"\1\2\3")
        carrier.abort()


async def test_one_that_is_not_opened_can_not_run() -> None:
    carrier = WebSocketCarrier(client_of(1), Pacing())
    carrier.abort()
    with pytest.raises(CarrierError):
        await carrier.run(ScriptedFeed())
