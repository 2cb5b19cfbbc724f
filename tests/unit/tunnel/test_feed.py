"""One carrier's end of a session: when it is woken, when it ends, when something has come."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.tunnel.asked import AskedTunnel, pulse_of
from tests.unit.tunnel.virtual_time import play
from underpass.carriers.base import CarrierError
from underpass.protocol.frames import Payload
from underpass.tunnel.feed import SessionFeed


class Driver:
    """Gives the records it has, and remembers what it was told."""

    delay = 0.25

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.calls: list[object] = []

    def take(self, number: int, limit: int) -> list[bytes]:
        taken, self.records = self.records, []
        return taken

    def receive(self, number: int, data: Payload) -> None:
        self.calls.append(("receive", number, data))

    def cut(self, number: int) -> None:
        self.calls.append(("cut", number))

    def lost(self, records: list[bytes]) -> None:
        self.calls.append(("lost", records))

    def lower_keepalive(self, number: int, seconds: float) -> None:
        self.calls.append(("lower_keepalive", number, seconds))


async def test_it_waits_when_there_is_nothing_and_is_woken() -> None:
    driver = Driver()
    feed = SessionFeed(driver, 3)
    # At first there may be something.
    await feed.output()
    assert feed.take(100) == []
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(feed.output())
        await asyncio.sleep(0)
        assert not waiting.done()
        driver.records = [b"one"]
        feed.wake()
        await waiting
    assert feed.take(100) == [b"one"]


async def test_who_watches_is_called_instead_until_it_has_enough() -> None:
    driver = Driver()
    feed = SessionFeed(driver, 3)
    calls: list[str | None] = []
    feed.watch(lambda: calls.append(feed.reason))
    feed.wake()
    assert feed.take(100) == []
    feed.end("the session is closed")
    assert calls == [None, "the session is closed"]
    feed.watch(None)
    feed.wake()
    assert len(calls) == 2
    await feed.output()
    assert feed.take(100) == []
    with pytest.raises(CarrierError, match="the session is closed"):
        await feed.output()


async def test_it_ends_after_what_is_there() -> None:
    driver = Driver()
    feed = SessionFeed(driver, 3)
    driver.records = [b"the last word"]
    feed.end("the session is closed")
    await feed.output()
    assert feed.take(100) == [b"the last word"]
    assert feed.take(100) == []
    with pytest.raises(CarrierError, match="the session is closed"):
        await feed.output()


async def test_what_a_carrier_says_goes_on_with_its_number() -> None:
    driver = Driver()
    feed = SessionFeed(driver, 3)
    feed.receive(b"data")
    feed.cut()
    feed.lost([b"record"])
    feed.lower_keepalive(5.0)
    assert feed.delay == 0.25
    assert driver.calls == [
        ("receive", 3, b"data"),
        ("cut", 3),
        ("lost", [b"record"]),
        ("lower_keepalive", 3, 5.0),
    ]


async def test_the_first_that_comes_is_told() -> None:
    pulse = pulse_of()
    feed = SessionFeed(Driver(), 3, pulse)
    assert not pulse.came.done()
    feed.receive(b"data")
    assert pulse.came.done()
    feed.receive(b"more")


async def test_what_is_no_part_of_the_session_has_not_come() -> None:
    pulse = pulse_of()

    class Strict(Driver):
        def receive(self, number: int, data: Payload) -> None:
            feed.end("not a record")

    feed = SessionFeed(Strict(), 3, pulse)
    feed.receive(b"<html>")
    assert not pulse.came.done()


def test_what_is_taken_and_not_followed_by_anything_makes_it_doubted() -> None:
    async def scene() -> None:
        driver, tunnel = Driver(), AskedTunnel()
        pulse = pulse_of(tunnel)
        feed = SessionFeed(driver, 7, pulse)
        assert feed.take(100) == []
        await asyncio.sleep(60)
        assert not pulse.doubted.done()
        driver.records = [b"record"]
        feed.take(100)
        await asyncio.sleep(60)
        assert pulse.doubted.done()
        assert len(tunnel.asked) == 1
        feed.receive(b"data")
        assert not pulse.doubted.done()

    play(scene)
