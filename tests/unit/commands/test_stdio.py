"""`underpass stdio`: where to, and how."""

from __future__ import annotations

import pytest

from tests.unit.commands.profiling import Ran, keep, ran
from underpass import cli
from underpass.address import Address

__all__ = ["ran"]


@pytest.mark.parametrize(
    "argv",
    [
        "--carrier poll work a.test:22",
        "--carrier poll a.test:22",
        "a.test:22 --carrier poll",
        "work a.test:22 --carrier poll",
        "work --carrier poll a.test:22",
        "--via none work --carrier poll a.test:22 --methods GET,POST",
        "--carrier poll -- work a.test:22",
    ],
)
def test_it_goes_to_the_address_wherever_options_stand(ran: Ran, argv: str) -> None:
    path = keep("work")
    assert cli.main(["stdio", *argv.split()]) == 0
    assert ran.rest == [Address("a.test", 22)]
    assert ran.profiles[0].path == path
    assert ran.passages[0].carrier == "poll"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ("", "the following arguments are required: [PROFILE] HOST:PORT"),
        ("work --carrier poll", "'work': expected host:port"),
        ("work home a.test:22", "expected [PROFILE] HOST:PORT, got 'work home a.test:22'"),
        ("work --no x a.test:22", "unrecognized arguments: --no x a.test:22"),
    ],
)
def test_other_words_are_refused(
    ran: Ran, capsys: pytest.CaptureFixture[str], argv: str, said: str
) -> None:
    keep("work")
    assert cli.main(["stdio", *argv.split()]) == 2
    assert said in capsys.readouterr().err
    assert ran.rest == []


def test_what_is_no_address_is_refused(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    keep("work")
    assert cli.main(["stdio", "work", "a.test"]) == 2
    assert "'a.test': expected host:port" in capsys.readouterr().err
