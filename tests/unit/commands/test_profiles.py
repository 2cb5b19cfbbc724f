"""Which server a command of the client goes to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.commands.profiling import INVITE, Ran, keep, ran
from underpass import cli
from underpass.client.control import socket_path
from underpass.option_kinds import default_state

__all__ = ["ran"]


def test_a_profile_is_found_by_its_name(ran: Ran) -> None:
    keep("home")
    path = keep("work")
    assert cli.main(["client", "work"]) == 0
    assert ran.setups[0].profile.path == path


@pytest.mark.parametrize(
    "argv",
    [
        "client work --via none",
        "client --via none work",
        "client -L 1:a:2 work --via none",
        "run work --via none -- true",
        "run --via none work -- true",
        "status work --json",
        "status --json work",
    ],
)
def test_a_profile_stands_before_between_or_behind_the_options(
    ran: Ran, monkeypatch: pytest.MonkeyPatch, argv: str
) -> None:
    keep("home")
    path = keep("work")
    asked: list[Path] = []

    def ask(path: Path) -> dict[str, object]:
        asked.append(path)
        return {}

    monkeypatch.setattr("underpass.client.control.ask", ask)
    assert cli.main(argv.split()) in (0, 7)
    expected = [socket_path(path, default_state())]
    assert asked == expected or [setup.profile.path for setup in ran.setups] == [path]


def test_without_a_profile_it_is_said_how_to_get_one(
    ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["client"]) == 2
    assert "run `underpass join NAME`" in capsys.readouterr().err
    assert cli.main(["client", "absent"]) == 2
    assert "there is no such profile" in capsys.readouterr().err


def test_an_invite_comes_from_a_file_or_the_environment(
    ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "invite.txt"
    file.write_text(INVITE.format() + "\n")
    assert cli.main(["client", "--invite-file", str(file)]) == 0
    monkeypatch.setenv("UNDERPASS_INVITE", INVITE.format())
    assert cli.main(["client"]) == 0
    first, second = ran.setups
    # The same client both times.
    assert first.profile == second.profile
    assert first.profile.path.is_relative_to(tmp_path / "state" / "underpass" / "invites")


def test_a_named_profile_is_stronger_than_an_invite_in_the_environment(
    ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = keep("work")
    monkeypatch.setenv("UNDERPASS_INVITE", INVITE.format())
    assert cli.main(["client", "work"]) == 0
    assert ran.setups[0].profile.path == path


def test_a_profile_and_an_invite_file_are_one_too_many(
    ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    keep("work")
    assert cli.main(["client", "work", "--invite-file", "x"]) == 2
    assert "a profile is named already" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, b"", b"hello", b"underpass:AAAA", b"\xff" * 10])
def test_what_is_no_invite_is_refused_with_2(
    ran: Ran, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    file = tmp_path / "invite.txt"
    if content is not None:
        file.write_bytes(content)
    assert cli.main(["client", "--invite-file", str(file)]) == 2
    assert "invite" in capsys.readouterr().err
