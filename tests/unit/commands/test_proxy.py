"""`underpass proxy`: what it passes on, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.commands.conftest import Started
from underpass import cli
from underpass.errors import ConfigurationError
from underpass.worker import VARIABLE, WorkerInheritance


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
