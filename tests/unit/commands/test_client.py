"""`underpass client`: what it runs with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.commands.profiling import Ran, keep, ran
from underpass import cli
from underpass.client_options import DEFAULT_HTTP, DEFAULT_SOCKS

__all__ = ["ran"]


def test_it_runs_with_the_only_profile_and_two_listeners(ran: Ran) -> None:
    path = keep("work")
    assert cli.main(["client"]) == 0
    [setup] = ran.setups
    assert setup.profile.path == path
    assert (setup.options.socks, setup.options.http) == (DEFAULT_SOCKS, DEFAULT_HTTP)


def test_flags_and_the_profile_say_how(ran: Ran) -> None:
    path = keep("work")
    with path.open("a") as file:
        file.write('carrier = "poll"\nsocks = ["127.0.0.1:1"]\n')
    argv = [
        "client",
        "work",
        "--http",
        "127.0.0.1:2",
        "-L",
        "3:a:4",
        "-L",
        "5:b:6",
        "--via",
        "none",
    ]
    assert cli.main(argv) == 0
    options = ran.setups[0].options
    assert [str(one) for one in (*options.socks, *options.http, *options.forward)] == [
        "127.0.0.1:1",
        "127.0.0.1:2",
        "127.0.0.1:3:a:4",
        "127.0.0.1:5:b:6",
    ]
    assert (options.carrier, str(options.via)) == ("poll", "none")


def test_a_wrong_option_ends_with_2(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    keep("work")
    assert cli.main(["client", "--socks", "0.0.0.0:1080"]) == 2
    assert "can be reached by other machines" in capsys.readouterr().err
    assert ran.setups == []


def test_an_option_in_the_profile_that_is_none_is_named(
    ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    path = keep("work")
    with path.open("a") as file:
        file.write('sock = ["127.0.0.1:1"]\n')
    assert cli.main(["client"]) == 2
    assert f"{path}: client.sock: unknown option; did you mean socks?" in capsys.readouterr().err


def test_a_file_is_weaker_than_the_profile(ran: Ran, tmp_path: Path) -> None:
    path = keep("work")
    with path.open("a") as file:
        file.write('carrier = "poll"\n')
    config = tmp_path / "a.toml"
    config.write_text('[client]\ncarrier = "get"\nlog = "json"\n')
    assert cli.main(["client", "--config", str(config)]) == 0
    options = ran.setups[0].options
    assert (options.carrier, options.log) == ("poll", "json")
