"""An offer: answered once, or withdrawn by who made it."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.tunnel.joined import BOUND, TARGET, Joined, steps
from underpass.errors import DialError, Failure, StreamReset
from underpass.protocol.frames import Kind, ResetCode
from underpass.tunnel.offer import Offer, OfferAnswers
from underpass.tunnel.tunnel_stream import TunnelStream


class Answers:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def accept(self, stream_id: int, bound: str) -> None:
        self.told.append((stream_id, bound))

    def refuse(self, stream_id: int, error: DialError) -> None:
        self.told.append((stream_id, error))


def make_offer(answers: Answers) -> tuple[Offer, TunnelStream]:
    # The stream itself is never used: nobody drives it.
    stream = TunnelStream(Joined().server, 7, None)
    return Offer(stream, TARGET, Kind.BYTES, OfferAnswers(answers.accept, answers.refuse)), stream


async def test_it_is_accepted_with_where_the_stream_stands_if_that_is_known() -> None:
    answers = Answers()
    offer, stream = make_offer(answers)
    assert (offer.address, offer.kind) == (TARGET, Kind.BYTES)
    assert offer.accept(BOUND) is stream
    assert offer.accept() is stream
    assert answers.told == [(7, str(BOUND)), (7, "")]


async def test_it_is_refused_with_a_reason() -> None:
    answers = Answers()
    offer, _ = make_offer(answers)
    error = DialError(Failure.FORBIDDEN, "not there")
    offer.refuse(error)
    assert answers.told == [(7, error)]


async def test_one_that_is_withdrawn_takes_no_answer() -> None:
    answers = Answers()
    offer, stream = make_offer(answers)
    stream.was_reset(ResetCode.RESET)
    with pytest.raises(StreamReset, match="withdrawn"):
        offer.accept(BOUND)
    offer.refuse(DialError(Failure.FORBIDDEN))
    assert answers.told == []
    assert offer.is_withdrawn


async def test_who_asks_is_told_once_when_it_is_withdrawn() -> None:
    ends = Joined()
    told: list[str] = []
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        opening, offer = await ends.ask(tasks)
        offer.on_withdrawn(lambda: told.append("withdrawn"))
        await steps()
        assert told == []
        assert not offer.is_withdrawn
        opening.cancel()
        await steps()
        ends.pump()
    assert told == ["withdrawn"]
    assert offer.is_withdrawn
