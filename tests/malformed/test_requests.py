"""Malformed requests on the wire: refused with the right status, and nothing of them forwarded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import uvloop

from tests.malformed.case import Case, Fate
from tests.malformed.requests import REQUESTS
from tests.malformed.stage import SECONDS, Stage, stage

# Larger ones say nothing more when they come byte by byte, and take long.
SHORT = 400
BYTEWISE = [case for case in REQUESTS if len(case.data) < SHORT][::20]


@pytest.fixture(scope="module")
def wire() -> Iterator[Stage]:
    with stage(uvloop.new_event_loop) as running:
        yield running


@pytest.fixture(scope="module")
def plain_wire() -> Iterator[Stage]:
    """The same without uvloop, where the first bytes come in other pieces."""
    with stage(asyncio.new_event_loop) as running:
        yield running


def check(wire: Stage, case: Case, answer: bytes) -> None:
    head, end, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % case.status), answer[:200]
    assert answer.count(b"HTTP/1.1 ") == 1, "more than one answer"
    assert b"\r\nConnection: close" in head
    assert b"\r\nProxy-Status: underpass;error=" in head
    assert end
    assert b"\r\nContent-Length: %d\r\n" % len(body) in head
    record = wire.record()
    assert record.status == case.status
    assert record.reason.isprintable()
    if case.fate is Fate.CUT:
        assert wire.origin.ended.acquire(timeout=SECONDS), "the origin was left waiting"
    for received in wire.origin.received:
        assert case.fate is Fate.CUT
        # Neither the end of a chunked body nor all of one with a length.
        assert not received.endswith(b"\r\n0\r\n\r\n")
        assert not received.endswith(b"\r\n\r\nhello")
        assert b"evil" not in received.lower()


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.id)
def test_a_malformed_request_is_refused(wire: Stage, case: Case) -> None:
    wire.origin.received.clear()
    check(wire, case, wire.send(case))
    assert wire.serves()


@pytest.mark.parametrize("case", BYTEWISE, ids=lambda case: case.id)
@pytest.mark.parametrize("step", [1, 1 << 20])
def test_a_malformed_request_in_pieces_is_refused(plain_wire: Stage, case: Case, step: int) -> None:
    plain_wire.origin.received.clear()
    check(plain_wire, case, plain_wire.send(case, step=step))


def test_the_corpus_is_large() -> None:
    assert len(REQUESTS) >= 1000
    assert len(BYTEWISE) >= 100
