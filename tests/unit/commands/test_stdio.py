"""`underpass stdio`: where to, and how."""

from __future__ import annotations

import pytest

from tests.unit.commands.profiling import Ran, keep, ran
from underpass import cli
from underpass.address import Address

__all__ = ["ran"]


@pytest.mark.parametrize("argv", [["work", "a.test:22"], ["a.test:22"]])
def test_it_goes_to_the_address(ran: Ran, argv: list[str]) -> None:
    path = keep("work")
    assert cli.main(["stdio", "--carrier", "poll", *argv]) == 0
    assert ran.rest == [Address("a.test", 22)]
    assert ran.profiles[0].path == path
    assert ran.passages[0].carrier == "poll"


def test_what_is_no_address_is_refused(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    keep("work")
    assert cli.main(["stdio", "work", "a.test"]) == 2
    assert "'a.test': expected host:port" in capsys.readouterr().err
