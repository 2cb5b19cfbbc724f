"""The whole bench: what each scenario is told, and how long it says it takes."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
from bench.chapters import BY_NAME
from bench.run import SCENARIOS, chosen, main, minutes, parsed, passed_on

PROXY = SCENARIOS[0]


def test_scenarios_are_commands_with_a_chapter_each() -> None:
    for scenario in SCENARIOS:
        assert callable(importlib.import_module(scenario.module).main)
    assert [scenario.name for scenario in SCENARIOS] == list(BY_NAME)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], []),
        (["--quick"], ["--quick"]),
        (["--rounds", "3", "--write"], ["--rounds", "3", "--write"]),
        (["--no-write", "--scenarios", "scale"], ["--no-write"]),
    ],
)
def test_passed_on_is_what_every_scenario_knows(arguments: list[str], expected: list[str]) -> None:
    assert passed_on(parsed(arguments)) == expected


def test_chosen_keeps_the_order_of_the_page() -> None:
    assert [scenario.name for scenario in chosen("scale,proxy")] == ["proxy", "scale"]
    assert chosen(None) == list(SCENARIOS)


def test_a_scenario_that_is_none_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--scenarios", "proxy,nothing"]) == 2
    assert "no scenario: nothing" in capsys.readouterr().err


def test_minutes_are_those_of_the_last_run(tmp_path: Path) -> None:
    (tmp_path / "proxy.json").write_text(json.dumps({"took": 600, "rounds": 5}))
    assert minutes(PROXY, quick=False, rounds=None, results=tmp_path) == 10
    assert minutes(PROXY, quick=False, rounds=1, results=tmp_path) == 2


def test_minutes_without_a_last_run_are_the_usual(tmp_path: Path) -> None:
    assert minutes(PROXY, quick=False, rounds=None, results=tmp_path) == PROXY.minutes
    (tmp_path / "proxy.json").write_text(json.dumps({"rounds": 5}))
    assert minutes(PROXY, quick=False, rounds=10, results=tmp_path) == 2 * PROXY.minutes
    assert minutes(PROXY, quick=True, rounds=None, results=tmp_path) == PROXY.quick_minutes
