"""That every seeded defect is still one: it applies to the source as it is, and changes it."""

from __future__ import annotations

import ast

import pytest

from tests.mutants.mutant import ROOT, Mutant, StaleError, all_mutants
from tests.mutants.run import Copy, check_unbroken, plan

MUTANTS = all_mutants()
# What the session core was promised.
LEAST = 25


def test_there_are_enough_and_each_is_told_apart() -> None:
    assert len(MUTANTS) >= LEAST
    changed = {(one.place, one.changes) for one in MUTANTS}
    assert len(changed) == len({one.why for one in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=[one.name for one in MUTANTS])
def test_it_applies_to_the_source(mutant: Mutant) -> None:
    source = (ROOT / mutant.place).read_text(encoding="utf-8")
    broken = ast.parse(mutant.applied(source))
    assert ast.dump(broken) != ast.dump(ast.parse(source))
    missing = [test for stage in plan(mutant.place) for test in stage if not _exists(test)]
    assert missing == []


def _exists(test: str) -> bool:
    return (ROOT / test.partition("::")[0]).exists()


def test_one_whose_place_is_gone_or_not_the_only_one_is_stale() -> None:
    mutant = Mutant("a", "b", "c.py", (("  x = 1\n", "  x = 2\n"),))
    assert mutant.applied("if y:\n  x = 1\n  z\n") == "if y:\n  x = 2\n  z\n"
    for source in ("if y:\n    x = 1\n", "if y:\n  x = 1\nif z:\n  x = 1\n"):
        with pytest.raises(StaleError):
            mutant.applied(source)


class Asked(Copy):
    """Answers as it is told."""

    def __init__(self, *statuses: int | None) -> None:
        self._statuses = list(statuses)

    def ask(self, tests: list[str]) -> tuple[int | None, str]:
        return self._statuses.pop(0), ""


def test_tests_that_pass_without_any_defect_may_judge() -> None:
    check_unbroken(Asked(0, 0), MUTANTS)


@pytest.mark.parametrize("statuses", [(1,), (None,), (0, 1), (0, None)])
def test_tests_that_fail_or_do_not_end_without_any_defect_judge_nobody(
    statuses: tuple[int | None, ...],
) -> None:
    with pytest.raises(SystemExit, match="without any defect"):
        check_unbroken(Asked(*statuses), MUTANTS)
