"""The time limit: what it ends, what it lets through, and whose cancellation it is."""

from __future__ import annotations

import asyncio

import pytest

from underpass.net.clock import TimeLimit

SOON = 0.001
NEVER = 60.0


async def for_ever() -> None:
    await asyncio.get_running_loop().create_future()


async def test_a_wait_in_time_returns_what_it_waited_for() -> None:
    with TimeLimit(NEVER):
        assert await asyncio.sleep(0, "here") == "here"


async def test_a_wait_too_long_ends_with_timeout_error() -> None:
    with pytest.raises(TimeoutError), TimeLimit(SOON):
        await for_ever()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_no_limit_ends_by_hand_alone() -> None:
    limit = TimeLimit(None)
    asyncio.get_running_loop().call_soon(limit.expire)
    with pytest.raises(TimeoutError), limit:
        await for_ever()


async def test_expire_ends_the_wait_at_once_and_only_once() -> None:
    loop = asyncio.get_running_loop()
    limit = TimeLimit(NEVER)
    loop.call_soon(limit.expire)
    loop.call_soon(limit.expire)
    with pytest.raises(TimeoutError), limit:
        await for_ever()


async def test_expire_after_the_wait_does_nothing() -> None:
    with TimeLimit(NEVER) as limit:
        await asyncio.sleep(0)
    limit.expire()
    await asyncio.sleep(0)


async def test_an_error_of_the_wait_leaves_as_it_is() -> None:
    with pytest.raises(ValueError, match="mine"), TimeLimit(NEVER):
        raise ValueError("mine")


async def test_a_cancellation_from_elsewhere_is_no_timeout() -> None:
    outcome: list[str] = []

    async def wait() -> None:
        try:
            with TimeLimit(NEVER):
                await for_ever()
        except TimeoutError:
            outcome.append("timeout")
        except asyncio.CancelledError:
            outcome.append("cancelled")
            raise

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
    assert outcome == ["cancelled"]


async def test_a_cancellation_beside_the_time_out_still_cancels() -> None:
    async def wait() -> None:
        with TimeLimit(NEVER) as limit:
            loop = asyncio.get_running_loop()
            loop.call_soon(limit.expire)
            loop.call_soon(task.cancel)
            await for_ever()

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(wait())
    assert task.cancelled()


async def test_limits_stand_in_each_other() -> None:
    with TimeLimit(NEVER):
        with pytest.raises(TimeoutError), TimeLimit(SOON):
            await for_ever()
        await asyncio.sleep(0)


def test_without_a_task_there_is_nothing_to_limit() -> None:
    loop = asyncio.new_event_loop()
    failures: list[object] = []
    loop.set_exception_handler(lambda _, context: failures.append(context["exception"]))
    loop.call_soon(TimeLimit(NEVER).__enter__)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    assert [type(failure) for failure in failures] == [RuntimeError]
