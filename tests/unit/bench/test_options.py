"""The command line of a scenario."""

from __future__ import annotations

import pytest
from bench.options import ROUNDS, Options, parsed


def options(*arguments: str, rounds: int = ROUNDS) -> Options:
    return parsed("bench.proxy", "About it.", ["bulk", "gets"], arguments, rounds)


def test_a_whole_run_is_written() -> None:
    found = options()
    assert (found.rounds, found.writes, found.command) == (ROUNDS, True, "python -m bench.proxy")


@pytest.mark.parametrize("part", [["--quick"], ["--only", "gets"], ["--peers", "squid"]])
def test_a_part_is_written_only_when_asked(part: list[str]) -> None:
    assert not options(*part).writes
    assert options(*part, "--write").writes


def test_rounds_are_one_when_quick_and_as_asked() -> None:
    assert options("--quick").rounds == 1
    assert options("--quick", "--rounds", "2").rounds == 2
    assert options(rounds=3).rounds == 3


def test_wants_everybody_or_those_named() -> None:
    assert options().wants("squid")
    named = options("--peers", "squid,underpass")
    assert [named.wants(name) for name in ("squid", "tinyproxy")] == [True, False]


def test_only_takes_what_is_measured() -> None:
    with pytest.raises(SystemExit):
        options("--only", "nothing")
