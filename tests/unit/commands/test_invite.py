"""`underpass invite`: one line on standard output, and nothing made for a wrong request."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from underpass import cli
from underpass.commands.invite import seconds_of
from underpass.protocol.invite import Invite
from underpass.server.certificate import own_pin
from underpass.server.enrolment import CodeFault, digest_of
from underpass.server.user_store import SqliteUserStore

STATE = Path("state")
ARGV = ["invite", "alice", "--state", "state", "--url", "https://a.example/x"]


def test_an_invite_is_one_line_and_its_code_enrols(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(ARGV) == 0
    said = capsys.readouterr()
    assert (said.out.count("\n"), said.err) == (1, "")
    invite = Invite.parse(said.out)
    assert (invite.url, invite.name, invite.pin) == ("https://a.example/x", "alice", b"")
    store = SqliteUserStore(STATE)
    now = int(time.time())
    week = 7 * 24 * 3600
    digest = digest_of(invite.code)
    assert store.enrol(digest, b"\x01" * 32, now + week + 60) is CodeFault.EXPIRED
    assert not isinstance(store.enrol(digest, b"\x01" * 32, now + week - 60), CodeFault)
    assert store.enrol(digest, b"\x02" * 32, now) is CodeFault.USED_UP


def test_uses_and_time_are_what_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*ARGV, "--uses", "2", "--expires", "1h"]) == 0
    digest = digest_of(Invite.parse(capsys.readouterr().out).code)
    store = SqliteUserStore(STATE)
    now = int(time.time())
    assert store.enrol(digest, b"\x01" * 32, now + 3660) is CodeFault.EXPIRED
    found = [store.enrol(digest, bytes([number]) * 32, now) for number in range(3)]
    assert [one is CodeFault.USED_UP for one in found] == [False, False, True]


def test_the_state_can_stand_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNDERPASS_STATE", "elsewhere")
    assert cli.main(["invite", "alice", "--url", "http://a.example"]) == 0
    assert Invite.parse(capsys.readouterr().out).name == "alice"
    assert [user.name for user in SqliteUserStore(Path("elsewhere")).users()] == ["alice"]


def test_the_servers_own_certificate_can_be_made_for_the_pin(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main([*ARGV, "--tls-self"]) == 0
    assert Invite.parse(capsys.readouterr().out).pin == own_pin(STATE) != b""


def test_a_person_is_told_what_the_line_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert cli.main(ARGV) == 0
    assert "keep it secret" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--url", "ftp://a"], "--url ftp://a: expected http://host"),
        (["--url", "http://a:x"], "--url http://a:x: "),
        (["--url", "http://me:pw@a"], "--url"),
        (["--uses", "0"], "--uses 0: expected a whole number from 1 to 10000"),
        (["--uses", "many"], "--uses many"),
        (["--uses", "1e3"], "--uses 1e3"),
        (["--expires", "7"], "--expires 7: expected a time such as"),
        (["--expires", "0d"], "--expires 0d"),
        (["--expires", "400d"], "of a year at most"),
        (["--url", "http://a", "--tls-self"], "--tls-self is for https://"),
    ],
)
def test_a_wrong_request_makes_nothing(
    flags: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*ARGV, *flags]) == 2
    said = capsys.readouterr()
    assert reason in said.err
    assert said.out == ""
    assert not STATE.exists()


def test_a_name_that_can_not_be_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["invite", "a b", "--state", "state", "--url", "http://a.example"]) == 1
    assert "a name has 1 to 64" in capsys.readouterr().err
    assert not STATE.exists()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("90m", 5400), ("12h", 43_200), ("7d", 604_800), ("366d", 31_622_400)],
)
def test_times_are_numbers_with_a_unit(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds
