"""What the conversations of a box share."""

from __future__ import annotations

import asyncio

from tests.unit.testing.middlebox.test_pump import state
from underpass.testing.middlebox import Behaviour, Record
from underpass.testing.middlebox.state import MAX_RECORD_BYTES


def test_a_record_is_bounded() -> None:
    record = Record()
    record.saw(b"first")
    record.saw(bytes(MAX_RECORD_BYTES))
    assert record.seen == b"first"


async def test_turns_are_taken_where_one_goes_at_a_time() -> None:
    order: list[str] = []

    async def take(name: str) -> None:
        async with it.turn():
            order.append(name)
            await asyncio.sleep(0)
            order.append(name)

    for behaviour, expected in (
        (Behaviour(one_at_a_time=True), ["a", "a", "b", "b"]),
        (Behaviour(), ["a", "b", "a", "b"]),
    ):
        order.clear()
        async with state(behaviour) as it, asyncio.TaskGroup() as tasks:
            tasks.create_task(take("a"))
            tasks.create_task(take("b"))
        assert order == expected


async def test_the_second_goes_first_and_a_single_one_in_the_end() -> None:
    order: list[str] = []

    async def go(name: str) -> None:
        async with it.out_of_order():
            order.append(name)

    async with state(Behaviour()) as it:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(go("a"))
            tasks.create_task(go("b"))
        await go("c")
    assert order == ["b", "a", "c"]


async def test_what_is_to_be_done_later_is_not_done_after_the_end() -> None:
    done: list[str] = []

    async def do() -> None:
        done.append("done")

    async with state(Behaviour()) as it:
        it.later(0.001, do)
        async with asyncio.timeout(5):
            while not done:
                await asyncio.sleep(0.001)
        it.later(3600, do)
    assert done == ["done"]
