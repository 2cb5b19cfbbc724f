"""`underpass status`: what a client says, in words or as JSON."""

from __future__ import annotations

import json

import pytest

from tests.unit.commands.profiling import Ran, keep, ran
from underpass import cli
from underpass.commands.status import in_words

__all__ = ["ran"]

STATUS = {
    "server": "http://t.example:80",
    "user": "alice",
    "up": True,
    "carrier": "websocket, direct",
    "delay": 0.0384,
    "since": 1000.0,
    "streams": 3,
    "sent": 10,
    "received": 20,
    "listening": ["socks5://127.0.0.1:1080"],
}


def test_a_status_is_told_in_words() -> None:
    assert in_words(STATUS, 1060.0).splitlines() == [
        "server    http://t.example:80, as alice",
        "tunnel    up for 60 s: websocket, direct, 38 ms",
        "streams   3",
        "sent      10 bytes",
        "received  20 bytes",
        "listening socks5://127.0.0.1:1080",
    ]
    assert "tunnel    down" in in_words({**STATUS, "up": False, "since": None}, 0.0)
    assert "tunnel    down" in in_words({}, 0.0)


def test_a_status_is_asked_for(
    ran: Ran, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keep("work")
    monkeypatch.setattr("underpass.client.control.ask", lambda path: STATUS)
    assert cli.main(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == STATUS
    assert cli.main(["status", "work"]) == 0
    assert "websocket, direct, 38 ms" in capsys.readouterr().out


def test_without_a_client_it_ends_with_2(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    keep("work")
    assert cli.main(["status"]) == 2
    assert "no client of this profile is running; start one with" in capsys.readouterr().err
