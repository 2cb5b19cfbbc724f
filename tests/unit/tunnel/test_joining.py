"""One carrier is brought to the session there is, or to a new one: scenes in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from tests.unit.tunnel.far_end import FarEnd, ScriptedMaker, Way
from tests.unit.tunnel.virtual_time import play
from underpass.carriers.base import CarrierError
from underpass.protocol.hello import Status
from underpass.protocol.noise import public_key
from underpass.tunnel.greeting import ClientIdentity, Greeter
from underpass.tunnel.joining import FORGOTTEN, Joined, Joiner, SessionLost


@dataclass
class Scene:
    far_end: FarEnd
    joiner: Joiner
    changes: list[None] = field(default_factory=list)
    lost: list[SessionLost] = field(default_factory=list)

    async def join(self, way: Way) -> Joined:
        return await self.joiner.join(ScriptedMaker(way, self.far_end))


@contextlib.asynccontextmanager
async def scene_of() -> AsyncIterator[Scene]:
    async with asyncio.TaskGroup() as tasks:
        far_end = FarEnd(tasks)
        identity = ClientIdentity(os.urandom(32), public_key(far_end.key))
        changes: list[None] = []
        lost: list[SessionLost] = []
        joiner = Joiner(Greeter(identity), tasks, lambda: changes.append(None), lost.append)
        yield Scene(far_end, joiner, changes, lost)
        far_end.end()


def test_the_first_begins_a_session_and_the_second_attaches() -> None:
    async def scene() -> None:
        async with scene_of() as one:
            first = await one.join(Way("a"))
            second = await one.join(Way("b"))
            assert first.tunnel is second.tunnel is one.joiner.tunnel
            assert (first.number, second.number) == (0, 1)
            assert (one.far_end.hellos, one.far_end.attaches) == (1, 1)
            assert one.changes == [None]

    play(scene)


def test_no_answer_at_all_is_no_doubt_of_the_session() -> None:
    async def scene() -> None:
        async with scene_of() as one:
            await one.join(Way("a"))
            bad = Way("b", fails=CarrierError("no route to host"))
            with pytest.raises(CarrierError, match="no route"):
                await one.join(bad)
            assert bad.made == 1
            assert one.joiner.tunnel is not None
            assert one.joiner.tunnel.session.carriers == (0,)

    play(scene)


def test_a_refusal_by_http_is_settled_by_a_hello() -> None:
    async def scene() -> None:
        async with scene_of() as one:
            first = await one.join(Way("a"))
            refused = Way("b", fails=CarrierError("HTTP 403", 403))
            with pytest.raises(CarrierError, match="403"):
                await one.join(refused)
            # An attach, and a hello that fared no better.
            assert refused.made == 2
            assert one.joiner.tunnel is first.tunnel
            assert not first.tunnel.is_closed

    play(scene)


def test_a_server_that_forgot_the_session_begins_another() -> None:
    async def scene() -> None:
        async with scene_of() as one:
            first = await one.join(Way("a"))
            one.far_end.restart()
            second = await one.join(Way("a"))
            assert first.tunnel.is_closed
            assert second.tunnel is not first.tunnel
            assert second.number == 0
            assert one.lost == [SessionLost(FORGOTTEN)]

    play(scene)


def test_a_session_that_the_server_still_has_is_gone_back_to() -> None:
    async def scene() -> None:
        async with scene_of() as one:
            first = await one.join(Way("a"))
            way = Way("b", fails=CarrierError("a page of some box: HTTP 404", 404))
            async with asyncio.TaskGroup() as tasks:
                joining = tasks.create_task(one.join(way))
                # The box lets the hello through that follows.
                await asyncio.sleep(0.015)
                way.fails = None
            assert joining.result().tunnel is first.tunnel
            await asyncio.sleep(5)
            assert one.lost == []
            # What the hello began meanwhile was ended.
            assert one.far_end.hellos == 2
            assert len(one.far_end.open_sessions) == 1

    play(scene)


def test_who_leaves_during_a_hello_leaves_no_session() -> None:
    async def scene() -> None:
        async with scene_of() as one:
            way = Way("slow", delay=1.0)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.5):
                    await one.join(way)
            await asyncio.sleep(10)
            assert one.far_end.hellos == 1
            assert one.far_end.open_sessions == []
            assert one.joiner.tunnel is None

    play(scene)


def test_the_slower_of_two_hellos_attaches_to_the_session_of_the_quicker() -> None:
    async def scene() -> None:
        async with scene_of() as one, asyncio.TaskGroup() as tasks:
            slow = tasks.create_task(one.join(Way("slow", delay=0.5)))
            quick = tasks.create_task(one.join(Way("quick", delay=0.4)))
            await asyncio.wait((slow, quick))
            assert slow.result().tunnel is quick.result().tunnel
            assert slow.result().number == 1
            await asyncio.sleep(10)
            assert len(one.far_end.open_sessions) == 1

    play(scene)


def test_a_refusal_for_good_is_asked_for_once() -> None:
    async def scene() -> None:
        async with scene_of() as one:
            one.far_end.refusal = (Status.USER, "not known here")
            for _ in range(2):
                with pytest.raises(CarrierError, match="not known here"):
                    await one.join(Way("a"))
            assert one.far_end.hellos == 1
            assert one.joiner.refused is not None

    play(scene)


def test_a_clock_that_stays_wrong_is_given_up() -> None:
    async def scene() -> None:
        async with scene_of() as one:
            one.far_end.refusal = (Status.CLOCK, "your clock is wrong")
            with pytest.raises(CarrierError, match="neither goes on"):
                await one.join(Way("a"))
            assert one.far_end.hellos == 4
            assert one.joiner.refused is None

    play(scene)


def test_nobody_joins_once_it_is_over() -> None:
    async def scene() -> None:
        async with scene_of() as one:
            await one.join(Way("a"))
            one.joiner.is_over = True
            late = Way("b")
            with pytest.raises(CarrierError, match="the client has ended"):
                await one.join(late)
            assert late.made == 0

    play(scene)
