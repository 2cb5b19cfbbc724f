"""`underpass run`: which program, with what."""

from __future__ import annotations

import pytest

from tests.unit.commands.profiling import Ran, keep, ran
from underpass import cli

__all__ = ["ran"]


@pytest.mark.parametrize("own", [[], ["work"], ["work", "--carrier", "poll"]])
def test_what_stands_behind_the_dashes_is_the_programs(ran: Ran, own: list[str]) -> None:
    path = keep("work")
    assert cli.main(["run", *own, "--", "curl", "--help", "-x", "--", "y"]) == 7
    assert ran.rest == [["curl", "--help", "-x", "--", "y"]]
    assert ran.setups[0].profile.path == path


@pytest.mark.parametrize("argv", [["run"], ["run", "--"], ["run", "work"], ["run", "work", "--"]])
def test_without_a_program_it_is_said_how(
    ran: Ran, capsys: pytest.CaptureFixture[str], argv: list[str]
) -> None:
    keep("work")
    assert cli.main(argv) == 2
    assert "underpass run -- COMMAND" in capsys.readouterr().err
