"""A scenario of tunnels: who is measured in what, and what becomes of those that stall."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import pytest
from bench.boxes import HELD_BOX
from bench.chapters.requests_only import CHAPTER
from bench.generator import Entry, Origin
from bench.options import Options
from bench.pairs import Pairs
from bench.processes import BenchError, NeverUpError, Running, StalledError
from bench.programs.tunnel_program import Place
from bench.programs.tunnels import US_BOXED, US_DIRECT
from bench.report import Report
from bench.tunnel_measurements import QUICK, Bench, Measurement, Values
from bench.tunnel_run import Run, applies


@dataclass(frozen=True, slots=True)
class Program:
    """A tunnel that is never started."""

    name: str
    remark: str = "made for tests"
    entry: Entry = field(default="socks5")

    def version(self) -> str | None:
        return None

    def start_server(self, place: Place, origin: str) -> Running:
        raise BenchError("not to be started")

    def start_client(self, place: Place, server: str, origin: str) -> Running:
        raise BenchError("not to be started")


def measured(*plan: Measurement, rounds: int = 1, programs: tuple[str, ...] = ("one",)) -> Report:
    """Run this plan; the origin is none, since these measurements load nothing."""
    options = Options("test", quick=True, rounds=rounds, only=None, peers=None, writes=False)
    report = Report(CHAPTER, options, {})
    everybody = [Program(name) for name in programs]
    run = Run(cast("Origin", None), QUICK, report, plan, everybody)
    for number in range(rounds):
        run.round(number)
    return report


def measurement(run: Callable[[Bench], Values], name: str = "bulk-down") -> Measurement:
    return Measurement(name, run, (name,))


class Failing:
    """A measurement that raises, and counts how often it was tried."""

    def __init__(self, error: BenchError) -> None:
        self.error = error
        self.tries = 0

    def __call__(self, bench: Bench) -> Values:
        self.tries += 1
        raise self.error


def test_round_notes_values_of_everybody() -> None:
    report = measured(
        measurement(lambda _: {"bulk-down": 7.0}), rounds=2, programs=("one", "other")
    )
    assert report.values == {"one": {"bulk-down": [7.0, 7.0]}, "other": {"bulk-down": [7.0, 7.0]}}


def test_stall_is_no_failure_but_nothing_in_every_round() -> None:
    failing = Failing(StalledError("stood still"))
    report = measured(measurement(failing), rounds=3)
    assert report.values == {"one": {"bulk-down": [0.0, 0.0, 0.0]}}
    assert report.failures == []
    assert failing.tries == 1


def test_program_that_never_comes_up_is_not_tried_in_that_box_again() -> None:
    down, up = Failing(NeverUpError("no tunnel")), Failing(NeverUpError("no tunnel"))
    report = measured(
        Measurement("held-bulk-down", down, ("held-bulk-down",), box=HELD_BOX),
        Measurement("held-bulk-up", up, ("held-bulk-up",), box=HELD_BOX),
        measurement(lambda _: {"bulk-down": 7.0}),
    )
    assert (down.tries, up.tries) == (1, 0)
    assert report.values["one"] == {
        "held-bulk-down": [0.0],
        "held-bulk-up": [0.0],
        "bulk-down": [7.0],
    }


def test_failure_is_noted_and_tried_again() -> None:
    failing = Failing(BenchError("wrong bytes"))
    report = measured(measurement(failing), rounds=2)
    assert report.failures == ["one, bulk-down: wrong bytes"] * 2
    assert report.values == {}
    assert failing.tries == 2


def test_boxes_are_measured_in_every_other_round() -> None:
    boxed = Measurement(
        "held-bulk-up", lambda _: {"held-bulk-up": 1.0}, ("held-bulk-up",), box=HELD_BOX
    )
    assert measured(boxed, rounds=3).values == {"one": {"held-bulk-up": [1.0, 1.0]}}


@pytest.mark.parametrize(
    ("streams", "program", "expected"),
    [(1, "httptunnel", True), (32, "httptunnel", False), (32, "one", True), (32, None, True)],
)
def test_program_of_one_stream_is_not_measured_in_more(
    streams: int, program: str | None, expected: bool
) -> None:
    many = Measurement("connects", lambda _: {}, (), streams=streams)
    assert applies(many, Program(program) if program else None) is expected


def test_program_that_brings_nothing_back_meanwhile_is_not_measured_up() -> None:
    up, down = (Measurement(f"bulk-{way}", lambda _: {}, ()) for way in ("up", "down"))
    assert [applies(one, Program("rathole")) for one in (up, down)] == [False, True]


def test_direct_goes_through_no_box() -> None:
    assert not applies(Measurement("held-bulk-up", lambda _: {}, (), box=HELD_BOX), None)


def test_ours_chooses_by_itself_only_behind_a_box() -> None:
    free = Measurement("bulk-up", lambda _: {}, ())
    boxed = Measurement("held-bulk-up", lambda _: {}, (), box=HELD_BOX)
    assert [applies(free, US_DIRECT), applies(free, US_BOXED)] == [True, False]
    assert [applies(boxed, US_DIRECT), applies(boxed, US_BOXED)] == [False, True]


def test_figures_through_a_box_have_its_name() -> None:
    bench = Bench(Pairs(cast("Origin", None)), QUICK, None, HELD_BOX)
    assert bench.key("bulk-up") == "held-bulk-up"
