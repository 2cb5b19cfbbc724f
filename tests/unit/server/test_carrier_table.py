"""Carriers by their tokens: opened once, found while they last."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.unit.carriers.script import ScriptedFeed, until
from underpass.carriers.base import Admission, CarrierError, RunCarrier
from underpass.server import carrier_table
from underpass.server.carrier_table import CarrierTable


class Door:
    """Lets in what says so, refuses what says that, and counts who came."""

    def __init__(self, error: Exception | None = None) -> None:
        self.messages: list[bytes] = []
        self.is_open = asyncio.Event()
        self.is_open.set()
        self._error = error

    async def __call__(self, message: bytes) -> Admission | None:
        self.messages.append(message)
        await self.is_open.wait()
        if message == b"let me in":
            return Admission(b"welcome", self.carry)
        return Admission(b"no") if message == b"refuse me" else None

    async def carry(self, run: RunCarrier) -> CarrierError:
        if self._error is not None:
            raise self._error
        try:
            await run(ScriptedFeed())
        except CarrierError as error:
            return error
        return CarrierError("it ended")


async def test_a_carrier_is_found_until_it_ends() -> None:
    async with asyncio.TaskGroup() as tasks:
        table = CarrierTable(Door(), tasks)
        assert await table.open("T", b"let me in", 0) == b"welcome"
        pieces = table.find("T")
        assert pieces is not None
        await pieces.up(0, b"")
        pieces.end("enough")
        await until(lambda: table.find("T") is None)
        assert table.has_ended("T")
        assert not table.has_ended("another")


async def test_few_of_those_that_ended_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrier_table, "MAX_ENDED", 2)
    async with asyncio.TaskGroup() as tasks:
        table = CarrierTable(Door(), tasks)
        for token in ("T", "U", "V"):
            await table.open(token, b"let me in", 0)
            table.end("enough")
            await until(lambda: not len(table))
        assert [table.has_ended(token) for token in ("T", "U", "V")] == [False, True, True]


async def test_the_same_opening_again_gets_the_same_answer_without_the_door() -> None:
    async with asyncio.TaskGroup() as tasks:
        door = Door()
        table = CarrierTable(door, tasks)
        door.is_open.clear()
        both = [tasks.create_task(table.open("T", b"let me in", 0)) for _ in range(2)]
        await asyncio.sleep(0)
        door.is_open.set()
        assert [await one for one in both] == [b"welcome", b"welcome"]
        assert await table.open("T", b"something else", 0) is None
        assert door.messages == [b"let me in"]
        table.end("the test is over")


@pytest.mark.parametrize(("message", "answer"), [(b"who?", None), (b"refuse me", b"no")])
async def test_what_is_not_let_in_leaves_nothing(message: bytes, answer: bytes | None) -> None:
    async with asyncio.TaskGroup() as tasks:
        table = CarrierTable(Door(), tasks)
        assert await table.open("T", message, 0) == answer
        assert len(table) == 0


async def test_one_that_is_given_up_leaves_nothing() -> None:
    async with asyncio.TaskGroup() as tasks:
        door = Door()
        table = CarrierTable(door, tasks)
        door.is_open.clear()
        opening = tasks.create_task(table.open("T", b"let me in", 0))
        await asyncio.sleep(0)
        opening.cancel()
        await asyncio.wait((opening,))
        assert len(table) == 0


async def test_the_table_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrier_table, "MAX_CARRIERS", 1)
    async with asyncio.TaskGroup() as tasks:
        door = Door()
        table = CarrierTable(door, tasks)
        assert await table.open("T", b"let me in", 0) == b"welcome"
        assert await table.open("U", b"let me in", 0) is None
        assert len(door.messages) == 1
        table.end("the test is over")


async def test_a_bug_ends_one_carrier(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.CRITICAL + 1, carrier_table.__name__):
        async with asyncio.TaskGroup() as tasks:
            table = CarrierTable(Door(ZeroDivisionError()), tasks)
            assert await table.open("T", b"let me in", 0) == b"welcome"
            await until(lambda: len(table) == 0)
