"""What is said of a tunnel: in words, grouped, and once."""

from __future__ import annotations

import pytest

from underpass.client.telling import Telling, complaining, grouped
from underpass.tunnel.keeper import TunnelDown, TunnelUp


def test_an_up_is_told_in_words() -> None:
    assert Telling().up(TunnelUp("poll, direct", 0.0384)) == "tunnel up: poll, direct, 38 ms"


def test_kinds_that_failed_alike_are_together() -> None:
    reasons = (
        "websocket, direct: connection refused: a:1",
        "websocket, through p:2: the proxy said 407",
        "poll, direct: connection refused: a:1",
        "get, direct: no answer: in 10 s",
    )
    assert grouped(reasons) == [
        "websocket, poll, direct: connection refused: a:1",
        "websocket, through p:2: the proxy said 407",
        "get, direct: no answer: in 10 s",
    ]
    assert grouped(()) == []


def test_the_same_reasons_are_told_once() -> None:
    telling = Telling()
    told = [
        telling.down(TunnelDown(reasons))
        for reasons in (("a: no", "b: no"), ("b: no", "a: no"), ("a: still no", "b: no"), ())
    ]
    assert told == [
        "no tunnel, trying again: a, b: no",
        None,
        "no tunnel, trying again: a: still no; b: no",
        "no tunnel, trying again: no way out",
    ]


def test_after_an_up_they_are_told_again() -> None:
    telling = Telling()
    telling.down(TunnelDown(("a: no",)))
    telling.up(TunnelUp("a", 0.0))
    assert telling.down(TunnelDown(("a: no",))) is not None


def test_who_owns_no_output_hears_only_of_failures(caplog: pytest.LogCaptureFixture) -> None:
    hear = complaining()
    for event in (TunnelDown(("a: no",)), TunnelDown(("a: no",)), TunnelUp("a", 0.0)):
        hear(event)
    hear(TunnelDown(("a: no",)))
    assert [one.getMessage() for one in caplog.records] == ["no tunnel, trying again: a: no"] * 2
