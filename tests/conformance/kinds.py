"""Every kind of carrier, in every way that it can be told to go about it."""

from __future__ import annotations

from collections.abc import Callable

from tests.unit.carriers.world import World
from underpass.carriers.base import Carrier
from underpass.carriers.get import GetCarrier
from underpass.carriers.methods import Methods
from underpass.carriers.pacing import Pacing
from underpass.carriers.poll import PollCarrier
from underpass.carriers.stream import StreamCarrier
from underpass.carriers.websocket import WebSocketCarrier

Make = Callable[[World], Carrier]


def websocket(one: World) -> Carrier:
    return WebSocketCarrier(one.http(), Pacing())


def stream(one: World) -> Carrier:
    return StreamCarrier(one.http(), Methods(), Pacing())


def stream_without_put(one: World) -> Carrier:
    return StreamCarrier(one.http(), Methods.parse("GET,POST"), Pacing())


def poll(one: World) -> Carrier:
    return PollCarrier(one.http(), Methods(), Pacing())


def poll_without_put(one: World) -> Carrier:
    return PollCarrier(one.http(), Methods.parse("GET,POST"), Pacing())


def poll_by_post(one: World) -> Carrier:
    return PollCarrier(one.http(), Methods.parse("POST"), Pacing())


def poll_in_turns(one: World) -> Carrier:
    pacing = Pacing()
    pacing.turn_serial()
    return PollCarrier(one.http(), Methods(), pacing)


def get(one: World) -> Carrier:
    return GetCarrier(one.http(), Pacing())


def get_in_turns(one: World) -> Carrier:
    pacing = Pacing()
    pacing.turn_serial()
    return GetCarrier(one.http(), pacing)


BRISK = (
    websocket,
    stream,
    stream_without_put,
    poll,
    poll_without_put,
    poll_by_post,
    get,
)
# Each turn down waits for up to a second.
IN_TURNS = (poll_in_turns, get_in_turns)
KINDS = BRISK + IN_TURNS
