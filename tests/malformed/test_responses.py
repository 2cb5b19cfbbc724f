"""Malformed responses of an origin: told as 502 or cut, never completed, never reused."""

from __future__ import annotations

from collections.abc import Iterator

import h11
import pytest
import uvloop

from tests.malformed.case import Case, Fate
from tests.malformed.responses import RESPONSES
from tests.malformed.stage import LOOPBACK, Stage, is_control, stage


@pytest.fixture(scope="module")
def wire() -> Iterator[Stage]:
    with stage(uvloop.new_event_loop) as running:
        running.origin.once = True
        yield running


def looks_whole(answer: bytes, method: bytes) -> bool:
    """Whether another HTTP client takes `answer`, and then the end, for a complete response."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "h")]))
    client.receive_data(answer)
    client.receive_data(b"")
    try:
        while (event := client.next_event()) is not h11.PAUSED:
            if isinstance(event, h11.EndOfMessage):
                return True
            if event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed):
                return False
    except h11.RemoteProtocolError:
        return False
    return False


def is_502(answer: bytes) -> bool:
    """Whether it ends in a 502 of the proxy's own, perhaps after interim responses."""
    while answer.startswith(b"HTTP/1.1 1"):
        answer = answer.partition(b"\r\n\r\n")[2]
    return answer.startswith(b"HTTP/1.1 502 ") and b"\r\nProxy-Status: underpass;error=" in answer


@pytest.mark.parametrize("case", RESPONSES, ids=lambda case: case.id)
def test_a_malformed_response_is_not_passed_on(wire: Stage, case: Case) -> None:
    origin = wire.origin
    origin.received.clear()
    origin.answer = case.bytes_for(LOOPBACK.encode(), origin.port)
    origin.ends = case.ends
    answer = wire.ask(origin, case.method)
    assert b"evil" not in answer.lower()
    match case.fate:
        case Fate.NOTHING:
            assert is_502(answer), answer[:200]
        case Fate.CUT:
            assert is_502(answer) or not looks_whole(answer, case.method), answer[:200]
        case Fate.ALONE:
            assert answer.startswith(b"HTTP/1.1 %d " % case.status)
            assert looks_whole(answer, case.method)
    # The next request of the same client goes over another connection, and is answered well.
    assert is_control(wire.ask(origin))
    assert len(origin.received) == 2


def test_the_corpus_is_large() -> None:
    assert len(RESPONSES) >= 500
