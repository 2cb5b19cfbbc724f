"""The commands: what they print, what they pass on, how they end."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from underpass import cli
from underpass.access import Effect, Rule
from underpass.errors import ConfigurationError, UserError
from underpass.options import ProxyOptions
from underpass.worker import VARIABLE, WorkerInheritance

Load = Callable[[], ProxyOptions]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("UNDERPASS_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


class Started:
    """Stands where a proxy would run, and remembers how it was started."""

    def __init__(self) -> None:
        self.load: Load = ProxyOptions
        self.inheritance: WorkerInheritance | None = None
        self.argv: list[str] | None = None
        self.error: BaseException | None = None

    def run_proxy(self, load: Load, inheritance: WorkerInheritance | None = None) -> int:
        self.load, self.inheritance = load, inheritance
        if self.error is not None:
            raise self.error
        return 0

    def run_workers(self, load: Load, argv: list[str]) -> int:
        self.load, self.argv = load, argv
        return 0


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    started = Started()
    app, supervisor = types.ModuleType("underpass.app"), types.ModuleType("underpass.supervisor")
    app.run_proxy = started.run_proxy  # type: ignore[attr-defined]
    supervisor.run_workers = started.run_workers  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "underpass.app", app)
    monkeypatch.setitem(sys.modules, "underpass.supervisor", supervisor)
    return started


def give(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


# --- the outside


def test_version_and_help_load_nothing_heavy() -> None:
    # Counted in modules, not in milliseconds: those belong to the machine.
    program = (
        "import sys; from underpass.cli import main; code = main(['--help']);"
        "heavy = {'asyncio', 'msgspec', 'ssl', 'socket', 'cryptography', 'uvloop', 'sqlite3'};"
        "print(code, sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "0 []"


def test_the_module_runs_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "underpass", "--version"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stdout.startswith("underpass ")


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("underpass ")


def test_version_is_printed_without_an_installation(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [])
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == "underpass (not installed)\n"


@pytest.mark.parametrize(
    "argv",
    [
        ["--help"],
        ["proxy", "--help"],
        ["user", "--help"],
        ["user", "add", "--help"],
        ["config", "--help"],
        ["config", "check", "--help"],
    ],
)
def test_help_is_printed(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(argv) == 0
    assert capsys.readouterr().out.startswith("usage: underpass")


@pytest.mark.parametrize(
    "argv", [[], ["proxi"], ["proxy", "--no"], ["proxy", "--work", "2"], ["user"], ["user", "add"]]
)
def test_wrong_usage_ends_with_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(argv) == 2
    assert "underpass" in capsys.readouterr().err


def test_an_unknown_flag_is_answered_with_the_usage_of_its_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["user", "list", "--nope"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("usage: underpass user list ")
    assert error.endswith("underpass user list: error: unrecognized arguments: --nope\n")


def test_arguments_come_from_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["underpass", "--version"])
    assert cli.main() == 0


# --- proxy


def test_proxy_reads_flags_environment_and_file(
    started: Started, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "a.toml"
    file.write_text('[proxy]\nlog = "json"\nidentity = "from-file"\n')
    monkeypatch.setenv("UNDERPASS_IDENTITY", "from-environment")
    assert cli.main(["proxy", "--config", str(file), "--listen", "127.0.0.1:0"]) == 0
    options = started.load()
    assert (options.log, options.identity) == ("json", "from-environment")
    assert [str(address) for address in options.listen] == ["127.0.0.1:0"]
    assert started.inheritance is None


def test_proxy_can_read_its_options_again(started: Started, tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("")
    assert cli.main(["proxy", "--config", str(file), "--identity", "flag"]) == 0
    file.write_text('[proxy]\nlog = "json"\nidentity = "file"\n')
    assert (started.load().log, started.load().identity) == ("json", "flag")
    file.write_text("[proxy]\nnonsense = 1\n")
    with pytest.raises(ConfigurationError):
        started.load()


def test_a_wrong_option_ends_with_2_and_the_reason(
    started: Started, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["proxy", "--workers", "many"]) == 2
    assert capsys.readouterr().err == (
        "underpass: command line: --workers: expected a whole number from 0 to 64, got 'many'\n"
    )


def test_an_open_proxy_does_not_start(started: Started, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["proxy", "--listen", "0.0.0.0:8080"]) == 2
    error = capsys.readouterr().err
    assert "underpass: command line: listen: 0.0.0.0:8080 can be reached" in error
    assert "underpass user add NAME" in error


def test_several_workers_are_supervised(started: Started) -> None:
    argv = ["proxy", "--workers", "2"]
    assert cli.main(argv) == 0
    assert started.argv == argv


def test_a_worker_runs_the_proxy_with_what_it_inherits(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    inheritance = WorkerInheritance([], memoryview(b""), 1, 0)
    monkeypatch.setattr("underpass.worker.inherit", lambda environ: inheritance)
    assert cli.main(["proxy", "--workers", "2"]) == 0
    assert started.inheritance is inheritance
    assert started.argv is None


def test_a_broken_inheritance_ends_with_2(
    started: Started, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, "nonsense")
    assert cli.main(["proxy"]) == 2
    assert f"environment: {VARIABLE}: for the program's own use" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "warned"),
    [
        (["--via", "http://me:hidden@p:1"], True),
        (["--via", "http://me@p:1"], False),
        ([], False),
    ],
)
def test_a_password_in_argv_is_warned_of(
    started: Started,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    argv: list[str],
    warned: bool,
) -> None:
    monkeypatch.setenv("UNDERPASS_VIA", "http://me:hidden@p:2")
    assert cli.main(["proxy", *argv]) == 0
    error = capsys.readouterr().err
    assert ("can be seen by every user" in error) is warned
    assert "hidden" not in error


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OSError(28, "No space left on device"), 1, "underpass: [Errno 28] No space left"),
        (UserError("no user bob"), 1, "underpass: no user bob"),
        (ConfigurationError("can't listen on x"), 2, "underpass: can't listen on x"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_failures_end_with_their_code_and_reason(
    started: Started,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    said: str,
) -> None:
    started.error = error
    assert cli.main(["proxy"]) == code
    assert capsys.readouterr().err.startswith(said)


# --- config check


def test_config_check_prints_the_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.toml"
    file.write_text('[proxy]\nvia = "http://me:hidden@p:1"\n')
    file.chmod(0o600)
    assert cli.main(["config", "check", str(file)]) == 0
    out = capsys.readouterr().out
    assert 'via = "http://me:***@p:1"' in out
    assert "head_timeout = 10.0" in out
    assert "hidden" not in out


def test_config_check_refuses_a_wrong_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[proxy.limits]\nhead_timeout = 'x'\n")
    assert cli.main(["config", "check", str(file)]) == 2
    assert f"underpass: {file}: proxy.limits.head_timeout: expected" in capsys.readouterr().err


# --- user


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
    store.SqliteUserStore = lambda state: state  # type: ignore[attr-defined]
    server = types.ModuleType("underpass.server")
    server.user_commands = users  # type: ignore[attr-defined]
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
    assert cli.read_password("alice") == password


@pytest.mark.parametrize("text", ["", "\n", "x" * (cli.MAX_PASSWORD + 1)])
def test_a_bad_password_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    give(monkeypatch, text)
    with pytest.raises(ConfigurationError, match="password"):
        cli.read_password("alice")


def test_a_closed_standard_input_is_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ConfigurationError, match="no password was given"):
        cli.read_password("alice")


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_a_password_that_is_no_text_is_refused(
    monkeypatch: pytest.MonkeyPatch, errors: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\n"), "utf-8", errors))
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        cli.read_password("alice")


def test_the_end_of_a_terminal_is_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(prompt: str) -> str:
        raise EOFError

    stdin = io.StringIO()
    monkeypatch.setattr(stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", stdin)
    monkeypatch.setattr("getpass.getpass", end)
    with pytest.raises(ConfigurationError, match="no password was given"):
        cli.read_password("alice")


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
    monkeypatch.setattr(cli, "read_password", None)
    assert cli.main(["user", action, name, "--state", "state"]) == 1
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["proxy", "--config"], ["config", "check"]])
def test_a_certificate_that_cannot_be_used_stops_the_start(
    started: Started, capsys: pytest.CaptureFixture[str], tmp_path: Path, argv: list[str]
) -> None:
    file = tmp_path / "a.toml"
    file.write_text('[proxy]\ntls_cert = "a.pem"\ntls_key = "a.key"\nworkers = 2\n')
    assert cli.main([*argv, str(file)]) == 2
    error = capsys.readouterr().err
    assert (
        error
        == f"underpass: tls_cert: {tmp_path}/a.pem: cannot be read: No such file or directory\n"
    )


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
        assert cli.read_password("alice") == "one"
    else:
        with pytest.raises(ConfigurationError, match="differ"):
            cli.read_password("alice")
