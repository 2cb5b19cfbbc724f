"""The WAN's pure parts: lines, plans and what is made of packets and silences."""

from __future__ import annotations

import pytest
from bench.chapters.wan import CHAPTER
from bench.wan.cuts import resumed
from bench.wan.line import LEAST_QUEUE, Line, Way
from bench.wan.namespaces import owner_of
from bench.wan.origin import PERIOD, PIECE, pattern_at
from bench.wan.packets import Arrivals
from bench.wan.page_load import OBJECTS, objects_of
from bench.wan.plan import CELLS, SHAPES, Cell, figures, full, is_for, load_of, values


def test_a_line_is_alike_both_ways_and_queues_a_round_trip() -> None:
    line = Line(80, 0.5, 20)
    way = line.way()
    assert (way.delay_ms, way.rate_bps, way.loss) == (40, 20e6, 0.005)
    assert way.queue_bytes == 80e-3 * 20e6 / 8
    assert line.name == "80ms-0.5%-20M"


def test_a_short_line_still_queues_a_burst() -> None:
    assert Line(1, 0, 20).queue == LEAST_QUEUE


def test_a_way_is_told_by_the_emulators_keys() -> None:
    text = Way(delay_ms=12.5, rate_bps=2e8).text()
    assert "delay_ms=12.5," in text
    assert "rate_bps=200000000," in text
    assert len(text.split(",")) == 9


def arrivals(*numbers: int, sent: int, step: float = 0.01) -> Arrivals:
    """Packets sent at even times, which arrive 5 ms later or in the order that is given."""
    packets = [(n, n * step, place * step + 0.005) for place, n in enumerate(numbers)]
    return Arrivals(packets, sent)


def test_a_namespace_tells_who_made_it() -> None:
    assert owner_of("wan-4711-12c") == 4711
    assert owner_of("wan-4711-probe") == 4711
    assert owner_of("somebody-elses") is None
    assert owner_of("wan-x-1c") is None


def test_losses_are_counted_and_their_bursts() -> None:
    found = arrivals(0, 3, 4, 6, 7, sent=10)
    assert found.lost() == [1, 2, 5, 8, 9]
    assert found.loss_percent() == 50
    assert found.burst_length() == pytest.approx(5 / 3)


def test_nothing_lost_has_no_bursts() -> None:
    assert arrivals(0, 1, sent=2).burst_length() == 0


def test_a_packet_that_a_later_one_has_passed_is_overtaken() -> None:
    assert arrivals(0, 2, 1, 3, sent=4).overtaken_percent() == 25


def test_delays_and_rates_are_of_arrivals() -> None:
    found = arrivals(*range(2001), sent=2001)
    assert found.median_delay() == pytest.approx(5)
    assert found.delay_at(1) == pytest.approx(5)
    assert found.mbit(1250) == pytest.approx(1)


def test_a_resume_is_the_end_of_the_longest_silence() -> None:
    came = [0.0, 0.5, 1.0, 1.1, 2.4, 2.5, 3.0]
    assert resumed(came, 1.05, 3.0) == pytest.approx(1.35)
    assert resumed(came, 3.1, 8.0) is None


def test_a_silence_that_began_before_counts_from_the_cut() -> None:
    assert resumed([0.0, 4.0, 4.1, 4.2], 3.0, 4.2) == pytest.approx(1.0)


def test_every_figure_of_the_chapter_is_measured() -> None:
    keys = {figure.key for figure in CHAPTER.figures}
    told = {key for _, group in CHAPTER.tables for key in group}
    held = {key for goal in CHAPTER.goals for key in goal.keys}
    assert told == keys
    assert held <= keys


def test_a_result_becomes_the_cells_figures() -> None:
    cell = Cell(Line(20, 0, 20), ("fair",))
    assert values("fair", cell, {"jain": 0.9, "mbit": 19.0}) == {
        "fair-20ms-0%-20M": 0.9,
        "fair-rate-20ms-0%-20M": 19.0,
    }


def test_what_was_not_found_is_no_figure() -> None:
    cell = Cell(Line(20, 0, 20), ("reset",))
    assert values("reset", cell, {"broken": 1.0}) == {"reset-broken-20ms-0%-20M": 1.0}


def test_bbr_for_all_has_figures_of_its_own() -> None:
    keys = [figure.key for figure in figures(CELLS)]
    assert "down-80ms-0.5%-20M" in keys
    assert "down-80ms-0.5%-20M-bbr" in keys
    assert len(keys) == len(set(keys))


def test_full_is_all_of_it() -> None:
    lines = {cell.line for cell in full()}
    assert len(lines) == 18
    assert all(set(cell.kinds) == set(SHAPES) for cell in full()[:18])


def test_a_long_line_gets_longer_to_get_going() -> None:
    near = load_of("bulk-down", Line(20, 0, 20), quick=False)
    far = load_of("bulk-down", Line(200, 0, 20), quick=False)
    assert far.warmup > near.warmup
    assert load_of("bulk-down", Line(20, 0, 20), quick=True).seconds < near.seconds


def test_rows_of_single_carriers_are_measured_in_few() -> None:
    cell = Cell(Line(20, 0, 20), ("bulk-down", "page"))
    assert is_for(cell, "bulk-down", "underpass poll")
    assert not is_for(cell, "page", "underpass poll")
    assert is_for(cell, "page", "chisel")


def test_a_cell_may_be_for_some_rows_alone() -> None:
    cell = Cell(Line(200, 0, 200), ("bulk-down",), rows=("direct", "underpass"))
    assert is_for(cell, "bulk-down", "direct")
    assert not is_for(cell, "bulk-down", "chisel")


def test_the_pattern_goes_on_over_its_period() -> None:
    whole = b"".join(pattern_at(at, PIECE) for at in range(0, 3 * PIECE, PIECE))
    assert whole[:PERIOD] == whole[PERIOD : 2 * PERIOD]
    assert pattern_at(PERIOD - 1, 2) == whole[PERIOD - 1 : PERIOD + 1]


def test_a_page_is_sixty_objects_of_six_hosts() -> None:
    assert sum(len(objects_of(host)) for host in range(6)) == OBJECTS
