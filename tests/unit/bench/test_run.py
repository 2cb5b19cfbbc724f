"""The whole bench: what each scenario is told, and how long it says it takes."""

from __future__ import annotations

import importlib
import json
import signal
import sys
from pathlib import Path

import pytest
from bench.chapters import BY_NAME
from bench.run import SCENARIOS, chosen, finished, main, minutes, parsed, passed_on

PROXY = SCENARIOS[0]
# Interrupts whoever has started it, and takes its time to end what it has started itself.
SCENARIO = """\
import os, signal, sys
from pathlib import Path
signal.signal(signal.SIGTERM, signal.default_int_handler)
try:
    os.kill(os.getppid(), signal.SIGINT)
    signal.pause()
finally:
    Path(sys.argv[1]).write_text("in order")
"""


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


def test_a_scenario_tells_how_it_ended() -> None:
    assert finished([sys.executable, "-c", "raise SystemExit(3)"]) == 3


def test_who_is_interrupted_lets_the_scenario_end_in_order(tmp_path: Path) -> None:
    end = tmp_path / "end"
    # A shell starts what runs in the background with interrupts ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            finished([sys.executable, "-c", SCENARIO, str(end)])
    finally:
        signal.signal(signal.SIGINT, before)
    assert end.read_text() == "in order"
