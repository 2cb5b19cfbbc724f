"""`underpass user`: what reaches the store, and how a password comes in."""

from __future__ import annotations

import io
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from underpass import cli
from underpass.access import Effect, Rule
from underpass.commands import user
from underpass.errors import ConfigurationError
from underpass.server.user_store import SqliteUserStore, User


def give(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


class Users:
    """Stands where the user commands would run, and remembers what was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def __getattr__(self, name: str) -> Callable[..., object]:
        def call(store: Path, *arguments: object) -> object:
            self.calls.append((name, store, *arguments))
            return {"new_token": "t0ken", "listing": ["alice", "bob"], "rules_of": ["allow x"]}.get(
                name
            )

        return call


@pytest.fixture
def users(monkeypatch: pytest.MonkeyPatch) -> Users:
    users = Users()
    store = types.ModuleType("underpass.server.user_store")
    monkeypatch.setattr(store, "SqliteUserStore", lambda state: state, raising=False)
    server = types.ModuleType("underpass.server")
    monkeypatch.setattr(server, "user_commands", users, raising=False)
    monkeypatch.setitem(sys.modules, "underpass.server", server)
    monkeypatch.setitem(sys.modules, "underpass.server.user_store", store)
    return users


ALLOW = Rule.parse(Effect.ALLOW, "a.test:443")
DENY = Rule.parse(Effect.DENY, "*")
STATE = Path("state")


@pytest.mark.parametrize(
    ("argv", "call"),
    [
        (["add", "alice"], ("add", STATE, "alice", "secret", ())),
        (
            ["add", "alice", "--allow", "a.test:443", "--deny", "*"],
            ("add", STATE, "alice", "secret", (ALLOW, DENY)),
        ),
        (["passwd", "alice"], ("change_password", STATE, "alice", "secret")),
        (["remove", "alice"], ("remove", STATE, "alice")),
        (["token", "alice"], ("new_token", STATE, "alice")),
        (["rules", "alice"], ("rules_of", STATE, "alice")),
        (["rules", "alice", "--deny", "*"], ("set_rules", STATE, "alice", (DENY,))),
        (["rules", "alice", "--clear"], ("set_rules", STATE, "alice", ())),
        (["list"], ("listing", STATE)),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_user_commands_reach_the_store(
    users: Users, monkeypatch: pytest.MonkeyPatch, argv: list[str], call: tuple[object, ...]
) -> None:
    give(monkeypatch, "secret\n")
    assert cli.main(["user", *argv, "--state", "state"]) == 0
    # Before a password is asked for, the store is asked whether it is in vain.
    assert [made for made in users.calls if not str(made[0]).startswith("check_")] == [call]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["token", "alice"], "t0ken\n"),
        (["list"], "alice\nbob\n"),
        (["rules", "alice"], "allow x\n"),
        (["remove", "alice"], ""),
    ],
)
def test_user_commands_print_their_answer_and_nothing_else(
    users: Users, capsys: pytest.CaptureFixture[str], argv: list[str], said: str
) -> None:
    assert cli.main(["user", *argv]) == 0
    assert capsys.readouterr().out == said


def test_the_state_directory_can_stand_in_the_environment(
    users: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERPASS_STATE", "there")
    assert cli.main(["user", "list"]) == 0
    assert users.calls == [("listing", Path("there"))]


def test_a_wrong_rule_is_refused_before_a_password_is_asked_for(
    users: Users, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["user", "add", "alice", "--allow", "no rule:x"]) == 2
    assert capsys.readouterr().err.startswith("underpass: --allow no rule:x: ")
    assert users.calls == []


# --- passwords


@pytest.mark.parametrize(
    ("text", "password"), [("one\ntwo\n", "one"), ("one\r\n", "one"), (" sp ace ", " sp ace ")]
)
def test_a_password_is_one_line_of_standard_input(
    monkeypatch: pytest.MonkeyPatch, text: str, password: str
) -> None:
    give(monkeypatch, text)
    assert user.read_password("alice") == password


@pytest.mark.parametrize("text", ["", "\n", "x" * (user.MAX_PASSWORD + 1)])
def test_a_bad_password_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    give(monkeypatch, text)
    with pytest.raises(ConfigurationError, match="password"):
        user.read_password("alice")


def test_a_closed_standard_input_is_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ConfigurationError, match="no password was given"):
        user.read_password("alice")


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_a_password_that_is_no_text_is_refused(
    monkeypatch: pytest.MonkeyPatch, errors: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\n"), "utf-8", errors))
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        user.read_password("alice")


def test_the_end_of_a_terminal_is_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(prompt: str) -> str:
        raise EOFError

    stdin = io.StringIO()
    monkeypatch.setattr(stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", stdin)
    monkeypatch.setattr("getpass.getpass", end)
    with pytest.raises(ConfigurationError, match="no password was given"):
        user.read_password("alice")


@pytest.mark.parametrize(
    ("action", "name", "reason"),
    [
        ("add", "alice", "there is a user alice already"),
        ("add", "a b", "a name has 1 to 64"),
        ("passwd", "bob", "there is no user bob"),
    ],
)
def test_nobody_is_asked_for_a_password_in_vain(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    action: str,
    name: str,
    reason: str,
) -> None:
    give(monkeypatch, "secret\n")
    assert cli.main(["user", "add", "alice", "--state", "state"]) == 0
    monkeypatch.setattr(user, "read_password", None)
    assert cli.main(["user", action, name, "--state", "state"]) == 1
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize("answers", [["one", "one"], ["one", "two"]])
def test_a_password_is_asked_for_twice_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, answers: list[str]
) -> None:
    stdin = io.StringIO()
    monkeypatch.setattr(stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", stdin)
    left = list(answers)
    monkeypatch.setattr("getpass.getpass", lambda prompt: left.pop(0))
    if answers[0] == answers[1]:
        assert user.read_password("alice") == "one"
    else:
        with pytest.raises(ConfigurationError, match="differ"):
            user.read_password("alice")


def test_limits_are_shown_and_changed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    SqliteUserStore(tmp_path).add(User("alice"))
    for flags, answer in (
        ([], "sessions - streams -"),
        (["--sessions", "2"], "sessions 2 streams -"),
        (["--streams", "500"], "sessions 2 streams 500"),
        (["--sessions", "0"], "sessions - streams 500"),
    ):
        assert cli.main(["user", "limit", "alice", "--state", str(tmp_path), *flags]) == 0
        assert capsys.readouterr().out == f"{answer}\n"
    assert cli.main(["user", "list", "--state", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "alice streams:500\n"
    assert cli.main(["user", "limit", "eve", "--state", str(tmp_path)]) == 1
    assert "there is no user eve" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["-1", "many", "1000000", "1.5"])
def test_a_limit_that_is_no_number_is_refused(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["user", "limit", "alice", "--streams", text]) == 2
    assert "--streams" in capsys.readouterr().err
