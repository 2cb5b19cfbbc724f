"""`underpass join`: an invite on standard input becomes a profile."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from tests.unit.commands.profiling import INVITE, Ran, ran
from underpass import cli
from underpass.client import profile

__all__ = ["ran"]


def give(monkeypatch: pytest.MonkeyPatch, text: str, *, terminal: bool = False) -> None:
    stdin = io.StringIO(text)
    monkeypatch.setattr(stdin, "isatty", lambda: terminal)
    monkeypatch.setattr(sys, "stdin", stdin)


@pytest.mark.parametrize("terminal", [False, True])
def test_an_invite_is_kept(
    ran: Ran,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    terminal: bool,
) -> None:
    give(monkeypatch, INVITE.format() + "\n", terminal=terminal)
    assert cli.main(["join", "work"]) == 0
    kept = profile.load(tmp_path / "config" / "underpass" / "profiles" / "work.toml")
    assert (kept.name, kept.code) == (INVITE.name, INVITE.code)
    said = capsys.readouterr()
    assert said.out == "joined http://t.example:80 as alice; run `underpass client work`\n"
    assert ("Paste the invite" in said.err) is terminal


def test_a_profile_is_not_written_over(
    ran: Ran, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for code in (0, 2):
        give(monkeypatch, INVITE.format())
        assert cli.main(["join", "work"]) == code
    assert "there is a profile already" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "hello", "underpass:AAAA"])
def test_what_is_no_invite_keeps_nothing(
    ran: Ran, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    give(monkeypatch, text)
    assert cli.main(["join", "work"]) == 2
    assert not (tmp_path / "config").exists()


def test_without_standard_input_nothing_is_kept(
    ran: Ran, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert cli.main(["join", "work"]) == 2
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\n"), "utf-8"))
    assert cli.main(["join", "work"]) == 2
    assert "is no invite" in capsys.readouterr().err
