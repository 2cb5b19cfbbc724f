"""The command line as a whole: help, usage, exit codes."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec

import pytest

from tests.unit.commands.conftest import Started, environment, started
from underpass import cli
from underpass.errors import ConfigurationError, UserError

__all__ = ["environment", "started"]


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


def test_version_is_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ModuleSpec("session", None, origin="session.py")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)
    assert cli.main(["--version"]) == 0
    assert re.fullmatch(r"underpass \S+ \(pure core\)\n", capsys.readouterr().out)


def test_version_tells_a_compiled_core(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ModuleSpec("session", None, origin=f"session{EXTENSION_SUFFIXES[0]}")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.endswith(" (compiled core)\n")


def test_version_is_printed_without_an_installation(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [])
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == "underpass (not installed) (pure core)\n"


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
