"""Requests that fail, and what is tried again."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.carriers.script import NOTHING, answering, ok, refused
from underpass.carriers.base import CarrierError
from underpass.carriers.calls import MAX_TRIES, Calls, SerialPath, helped, side_by_side
from underpass.carriers.http_client import HttpClient, Request
from underpass.carriers.methods import Methods
from underpass.carriers.pacing import Pacing


def calls_of(client: HttpClient) -> Calls:
    return Calls(client, "T", Pacing())


async def test_an_answer_that_says_no_is_an_error() -> None:
    async def answer(line: str, body: bytes) -> bytes:
        return refused(503, "Retry-After: 2")

    async with answering(answer) as (client, _):
        with pytest.raises(CarrierError) as caught:
            await calls_of(client).once(Request("GET", "T/0"))
        assert (caught.value.status, caught.value.retry_after) == (503, 2.0)


async def test_a_page_of_a_box_is_no_answer() -> None:
    async def answer(line: str, body: bytes) -> bytes:
        return ok(b"<html>blocked", "Content-Type: text/html; charset=utf-8")

    async with answering(answer) as (client, _):
        with pytest.raises(CarrierError, match="page of a box"):
            await calls_of(client).once(Request("GET", "T/0"))


async def test_the_rest_that_was_asked_for_holds_for_all_requests() -> None:
    async def answer(line: str, body: bytes) -> bytes:
        return NOTHING

    async with answering(answer) as (client, _):
        calls = calls_of(client)
        loop = asyncio.get_running_loop()
        started = loop.time()
        await calls.pause(CarrierError("busy", 429, 0.2), 1)
        await calls.once(Request("GET", "T/0"))
        assert loop.time() - started >= 0.2


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (CarrierError("gone", 404), 1),
        (CarrierError("no answer"), MAX_TRIES),
        (CarrierError("busy", 503, 3600.0), 1),
    ],
)
async def test_what_no_other_try_mends_is_raised(error: CarrierError, tries: int) -> None:
    async with answering(lambda line, body: asyncio.sleep(0, b"")) as (client, _):
        with pytest.raises(CarrierError) as caught:
            await calls_of(client).pause(error, tries)
        assert caught.value is error


async def test_a_small_request_that_overtakes_a_waiting_one_proves_the_path() -> None:
    async with answering(lambda line, body: asyncio.sleep(0, b"")) as (client, _):
        calls = calls_of(client)
        with calls.waits():
            with calls.passes(0.0):
                pass
            # Both may have been sent at once, and the later one arrived first.
            assert not calls.pacing.is_parallel
            await asyncio.sleep(0.11)
            with calls.passes(0.0):
                pass
        assert calls.pacing.is_parallel


@pytest.mark.slow
@pytest.mark.parametrize(("is_doubted", "pieces"), [(False, 2), (True, 1)])
async def test_small_requests_that_come_late_after_each_that_waited_tell_of_turns(
    is_doubted: bool, pieces: int
) -> None:
    async with answering(lambda line, body: asyncio.sleep(0, NOTHING)) as (client, _):
        calls = calls_of(client)
        if is_doubted:
            calls.pacing.path.doubt(0.0)
        await calls.once(Request("GET", "T/0"))
        for _ in range(pieces):
            waiting = calls.waits()
            waiting.__enter__()
            await asyncio.sleep(0.11)
            # The session's own round trips have been long.
            with calls.passes(9.0):
                await asyncio.sleep(0.35)
                waiting.__exit__(None, None, None)
        async with asyncio.timeout(1):
            with pytest.raises(SerialPath):
                await calls.stuck()


async def test_the_end_is_told_once_and_not_waited_for_long() -> None:
    lines: list[str] = []

    async def answer(line: str, body: bytes) -> bytes:
        lines.append(line)
        return refused(404)

    async with answering(answer) as (client, _):
        await calls_of(client).end(Methods())
    assert lines == ["DELETE /T"]


async def test_an_end_that_is_refused_either_way_teaches_nothing() -> None:
    lines: list[str] = []

    async def answer(line: str, body: bytes) -> bytes:
        lines.append(line)
        return refused(405)

    async with answering(answer) as (client, _):
        calls = calls_of(client)
        await calls.end(Methods())
    assert lines == ["DELETE /T", "POST /T/end"]
    assert calls.pacing.refused == set()


async def test_get_alone_has_nothing_to_stand_for_it() -> None:
    lines: list[str] = []

    async def answer(line: str, body: bytes) -> bytes:
        lines.append(line)
        return refused(405)

    async with answering(answer) as (client, _):
        await calls_of(client).end(Methods(frozenset({"GET"})))
    assert lines == ["GET /T/end"]


def test_a_path_that_is_only_slow_is_not_serial() -> None:
    assert helped(1.0, 0.1)
    assert not helped(10.0, 0.1)


async def test_the_first_end_ends_both_ways() -> None:
    async def ends() -> None:
        raise CarrierError("enough")

    async def never() -> None:
        await asyncio.Event().wait()

    with pytest.raises(CarrierError, match="enough"):
        await side_by_side(never(), ends())
