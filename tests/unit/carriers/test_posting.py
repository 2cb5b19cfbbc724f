"""How `poll` and `stream` begin and end."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.carriers.script import NOTHING, ScriptedFeed, answering, ok, refused
from underpass.carriers.base import CarrierError, Feed
from underpass.carriers.methods import Methods
from underpass.carriers.pacing import Pacing
from underpass.carriers.posting import PostingCarrier


class NothingDown(PostingCarrier):
    """One whose way down ends at once."""

    name = "nothing"

    async def _down(self, feed: Feed) -> None:
        raise CarrierError("nothing comes down")


@pytest.mark.parametrize(
    ("methods", "begins", "ends"),
    [("GET,POST,PUT,DELETE", "PUT /T", "DELETE /T"), ("POST", "POST /T/open", "POST /T/end")],
)
async def test_begins_and_ends_with_what_is_let_through(
    methods: str, begins: str, ends: str
) -> None:
    lines: list[str] = []

    async def answer(line: str, body: bytes) -> bytes:
        lines.append(line)
        return ok(b"welcome") if body == b"hello" else NOTHING

    async with answering(answer) as (client, _):
        carrier = NothingDown(client, Methods.parse(methods), Pacing())
        assert await carrier.open(b"hello") == b"welcome"
        with pytest.raises(CarrierError, match="nothing comes down"):
            await carrier.run(ScriptedFeed())
    token = lines[0].split("/")[1]
    assert [line.replace(token, "T") for line in lines] == [begins, ends]


async def test_an_answer_that_is_no_servers_is_an_error() -> None:
    async def answer(line: str, body: bytes) -> bytes:
        return refused(405)

    async with answering(answer) as (client, _):
        carrier = NothingDown(client, Methods(), Pacing())
        with pytest.raises(CarrierError) as caught:
            await carrier.open(b"hello")
        assert caught.value.status == 405
        carrier.abort()


async def test_a_refused_method_is_not_tried_again_by_the_next_carrier() -> None:
    lines: list[str] = []

    async def answer(line: str, body: bytes) -> bytes:
        lines.append(line.split()[0])
        return refused(405) if lines[-1] == "PUT" else ok(b"welcome")

    pacing = Pacing()
    async with answering(answer) as (client, _):
        for _ in range(2):
            carrier = NothingDown(client, Methods(), pacing)
            assert await carrier.open(b"hello") == b"welcome"
            carrier.abort()
    assert lines == ["PUT", "POST", "POST"]
    assert pacing.refused == {"PUT", "DELETE"}


async def test_a_method_is_tried_again_where_the_other_was_refused_too() -> None:
    lines: list[str] = []

    async def answer(line: str, body: bytes) -> bytes:
        lines.append(line.split()[0])
        return refused(403)

    pacing = Pacing()
    async with answering(answer) as (client, _):
        for _ in range(2):
            with pytest.raises(CarrierError):
                await NothingDown(client, Methods(), pacing).open(b"hello")
    assert lines == ["PUT", "POST"] * 2
    assert pacing.refused == set()


@pytest.mark.parametrize("status", [403, 405, 501])
async def test_post_stands_for_delete_where_that_alone_is_refused(status: int) -> None:
    lines: list[str] = []

    async def answer(line: str, body: bytes) -> bytes:
        lines.append(line.split()[0])
        if lines[-1] == "DELETE":
            return refused(status)
        return ok(b"welcome") if body == b"hello" else NOTHING

    pacing = Pacing()
    async with answering(answer) as (client, _):
        for _ in range(2):
            carrier = NothingDown(client, Methods(), pacing)
            await carrier.open(b"hello")
            with pytest.raises(CarrierError, match="nothing comes down"):
                await carrier.run(ScriptedFeed())
    assert lines == ["PUT", "DELETE", "POST", "PUT", "POST"]
    assert pacing.refused == {"DELETE"}


async def test_a_limit_that_was_learned_holds_from_the_beginning() -> None:
    pacing, feed = Pacing(), ScriptedFeed()
    pacing.was_cut(10.0)
    async with answering(lambda line, body: asyncio.sleep(0, NOTHING)) as (client, _):
        with pytest.raises(CarrierError):
            await NothingDown(client, Methods(), pacing).run(feed)
    assert feed.keepalive == [8.0]
