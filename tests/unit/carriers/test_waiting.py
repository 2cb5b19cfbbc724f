"""What waiting requests ask for, and what is learned from their answers."""

from __future__ import annotations

from tests.unit.carriers.script import ScriptedFeed
from underpass.carriers.base import CarrierError
from underpass.carriers.http_client import Answer
from underpass.carriers.pacing import FIRST_SIZE, FIRST_WIDTH, Flow, Pacing
from underpass.carriers.waiting import account, learn, preferring
from underpass.protocol.http.fields import Fields


def full(waited: bytes | None) -> Answer:
    fields = [] if waited is None else [(b"Server-Timing", waited)]
    return Answer(200, Fields(fields), bytes(FIRST_SIZE))


def test_says_how_long_and_how_much() -> None:
    assert preferring(25.0, Flow()).get(b"prefer") == b"wait=25, bytes=65536"


def test_what_waited_at_the_server_is_no_delay_of_the_path() -> None:
    flow = Flow()
    account(flow, full(b"wait;dur=9900"), 10.0)
    account(flow, full(b"wait;dur=0"), 0.1)
    assert flow.width == FIRST_WIDTH + 2
    account(flow, full(b"wait;dur=0"), 10.0)
    assert flow.size < FIRST_SIZE


def test_full_answers_are_reason_enough_where_a_box_takes_the_time_away() -> None:
    flow = Flow()
    account(flow, full(None), 10.0)
    assert flow.width == FIRST_WIDTH + 1


def test_an_empty_answer_tells_of_rest() -> None:
    flow = Flow()
    flow.width = 9
    account(flow, Answer(200, Fields(), b""), 25.0)
    assert flow.width == FIRST_WIDTH


def test_an_idle_request_that_was_cut_lowers_the_keepalive() -> None:
    pacing, feed = Pacing(), ScriptedFeed()
    learn(pacing, CarrierError("cut"), 10.0, feed)
    assert pacing.idle_limit == 8.0
    assert feed.keepalive == [8.0]


def test_one_that_failed_at_once_tells_of_size() -> None:
    pacing, feed = Pacing(), ScriptedFeed()
    learn(pacing, CarrierError("cut", 502), 0.1, feed)
    assert pacing.down.size == FIRST_SIZE // 2
    assert feed.keepalive == []
