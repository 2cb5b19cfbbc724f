"""Time limits: what they end, what they let through, and whose cancellation it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from underpass.net.clock import Alarm, Patience, TimeLimit

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


async def test_patience_ends_a_wait_that_is_too_long_and_begins_anew() -> None:
    patience = Patience()
    for _ in range(2):
        with pytest.raises(TimeoutError), patience.within(SOON):
            await for_ever()
    with patience.within(NEVER):
        assert await asyncio.sleep(0, "here") == "here"
    patience.end()


async def test_a_later_wait_with_a_shorter_limit_ends_in_its_own_time() -> None:
    patience = Patience()
    with patience.within(NEVER):
        await asyncio.sleep(0)
    with pytest.raises(TimeoutError), patience.within(SOON):
        await for_ever()


async def test_the_timer_of_an_ended_wait_ends_no_later_one() -> None:
    loop = asyncio.get_running_loop()
    patience = Patience()
    began = loop.time()
    with patience.within(SOON):
        pass
    with pytest.raises(TimeoutError), patience.within(20 * SOON):
        await for_ever()
    # Both loops count whole milliseconds.
    assert loop.time() - began >= 19 * SOON


async def test_a_timer_that_nobody_waits_for_goes_off_for_nothing() -> None:
    patience = Patience()
    with patience.within(SOON):
        pass
    with pytest.raises(TimeoutError), TimeLimit(3 * SOON):
        await for_ever()
    # Nor does it where the present wait has no limit.
    with patience.within(SOON):
        pass
    with pytest.raises(TimeoutError), TimeLimit(3 * SOON), patience.within(None):
        await for_ever()


async def test_patience_ends_by_hand_while_something_is_waited_for() -> None:
    patience = Patience()
    patience.expire()
    asyncio.get_running_loop().call_soon(patience.expire)
    with pytest.raises(TimeoutError), patience.within(None):
        await for_ever()
    patience.expire()
    with patience.within(NEVER):
        await asyncio.sleep(0)
    patience.end()
    patience.end()


# --- Alarm


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def test_an_alarm_rings_for_who_waits_too_long_and_in_order() -> None:
    late: list[str] = []
    alarm = Alarm(0.01, late.append)
    for item in ("first", "in time", "second"):
        alarm.begin(item)
    alarm.end("in time")
    alarm.end("never began")
    await until(lambda: len(late) == 2)
    assert late == ["first", "second"]
    assert len(alarm) == 0


async def test_an_alarm_that_rang_waits_for_the_next() -> None:
    late: list[str] = []
    alarm = Alarm(0.01, late.append)
    alarm.begin("one")
    await asyncio.sleep(0.005)
    alarm.begin("other")
    await until(lambda: late == ["one", "other"])
    alarm.begin("third")
    await until(lambda: len(late) == 3)


async def test_who_is_ended_by_another_is_not_rung_for() -> None:
    late: list[str] = []

    def act(item: str) -> None:
        late.append(item)
        alarm.end("other")

    alarm = Alarm(SOON, act)
    alarm.begin("one")
    alarm.begin("other")
    await until(lambda: len(alarm) == 0)
    assert late == ["one"]


async def test_an_alarm_without_seconds_never_rings() -> None:
    late: list[str] = []
    alarm = Alarm(0, late.append)
    alarm.begin("one")
    assert len(alarm) == 0


async def test_a_limit_may_wait_at_an_alarm() -> None:
    alarm = Alarm(SOON, TimeLimit.expire)
    with pytest.raises(TimeoutError), TimeLimit(None, alarm):
        await for_ever()
    with TimeLimit(None, alarm):
        assert len(alarm) == 1
        await asyncio.sleep(0)
    assert len(alarm) == 0
    limit = TimeLimit(None, Alarm(NEVER, TimeLimit.expire))
    asyncio.get_running_loop().call_soon(limit.expire)
    with pytest.raises(TimeoutError), limit:
        await for_ever()
    assert limit.has_expired


async def test_patience_may_be_had_anew_within_a_wait() -> None:
    loop = asyncio.get_running_loop()
    patience = Patience()
    loop.call_soon(patience.restart, loop, SOON)
    with pytest.raises(TimeoutError), patience.within(NEVER):
        await for_ever()
    started = loop.time()
    loop.call_later(0.005, patience.restart, loop, 0.02)
    with pytest.raises(TimeoutError), patience.within(0.01):
        await for_ever()
    assert loop.time() - started >= 0.02
    patience.end()
