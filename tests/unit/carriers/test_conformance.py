"""What every carrier does alike, over real HTTP on loopback (docs/carriers.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.unit.carriers.world import SECONDS, World, world
from underpass.address import Address
from underpass.carriers.base import Carrier
from underpass.carriers.get import GetCarrier
from underpass.carriers.methods import Methods
from underpass.carriers.pacing import Pacing
from underpass.carriers.poll import PollCarrier
from underpass.carriers.stream import StreamCarrier
from underpass.carriers.websocket import WebSocketCarrier

WHERE = Address("echo.example", 7)


def websocket(one: World) -> Carrier:
    return WebSocketCarrier(one.http(), Pacing())


def stream(one: World) -> Carrier:
    return StreamCarrier(one.http(), Methods(), Pacing())


def poll(one: World) -> Carrier:
    return PollCarrier(one.http(), Methods(), Pacing())


def poll_post(one: World) -> Carrier:
    return PollCarrier(one.http(), Methods.parse("POST"), Pacing())


def get(one: World) -> Carrier:
    return GetCarrier(one.http(), Pacing())


@pytest.mark.parametrize("make", [websocket, stream, poll, poll_post, get])
async def test_opens_and_brings_bytes_both_ways(make: Callable[[World], Carrier]) -> None:
    async with asyncio.timeout(SECONDS), world() as one:
        await one.attach(make(one))
        assert one.client is not None
        opening = one.tasks.create_task(one.client.open(WHERE))
        offer = await one.server.accept()
        assert offer.address == WHERE
        there = offer.accept()
        here = await opening
        await here.send(b"hello")
        assert await there.receive() == b"hello"
        await there.send(b"and back")
        assert await here.receive() == b"and back"
        await here.send_eof()
        assert await there.receive() == b""
        await there.send_eof()
        assert await here.receive() == b""
