"""The pictures: well-formed, best first, everybody named."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from bench.chapter import Curve
from bench.chapters import proxy
from bench.figures import Summary
from bench.picture import (
    FLOOR,
    LABELS,
    LEFT,
    RIGHT,
    ROOF,
    VALUES,
    WIDTH,
    bar_chart,
    label_room,
    line_chart,
)

SVG = "{http://www.w3.org/2000/svg}"
BARS = {
    "squid": Summary(10.0, 8.0, 12.0, 5),
    "underpass": Summary(20.0, 19.0, 25.0, 5),
    "<direct>": Summary(40.0, 30.0, 50.0, 5),
}


SPAN = WIDTH - LABELS - VALUES


def drawn(key: str, bars: dict[str, Summary]) -> str:
    return bar_chart(proxy.CHAPTER, proxy.CHAPTER.figure(key), bars)


def texts(picture: str) -> list[str]:
    return ["".join(text.itertext()) for text in ElementTree.fromstring(picture).iter(f"{SVG}text")]


def test_bar_chart_names_every_program_best_first() -> None:
    found = texts(drawn("gets", BARS))
    assert [text for text in found if text in BARS] == ["<direct>", "underpass", "squid"]


def test_bar_chart_turns_round_where_less_is_better() -> None:
    found = texts(drawn("stall", BARS))
    assert [text for text in found if text in BARS] == ["squid", "underpass", "<direct>"]


def test_bar_chart_bars_are_to_scale_and_inside() -> None:
    tree = ElementTree.fromstring(drawn("gets", BARS))
    widths = [float(bar.get("width", "0")) for bar in tree.iter(f"{SVG}rect")][1:]
    assert widths == [SPAN * 0.8, SPAN * 0.4, SPAN * 0.2]
    assert all(float(line.get("x2", "0")) <= LABELS + SPAN for line in tree.iter(f"{SVG}line"))


def test_bar_chart_of_nothing_but_zero_is_drawn() -> None:
    picture = drawn("stall", {"squid": Summary(0.0, -0.1, 0.0, 5)})
    assert "squid" in texts(picture)


def test_bar_chart_makes_room_for_long_names() -> None:
    bars = {"underpass over one long GET": Summary(1.0, 1.0, 1.0, 1)}
    assert label_room(bars) > label_room(BARS) == LABELS


CURVE = Curve("cost", "Cost", "streams", "µs")


def places(picture: str) -> list[tuple[float, float]]:
    circles = ElementTree.fromstring(picture).iter(f"{SVG}circle")
    return [(float(c.get("cx", "0")), float(c.get("cy", "0"))) for c in circles]


def test_line_chart_spans_its_field_on_a_logarithmic_axis() -> None:
    points = [[1.0, 0.0], [10.0, 5.0], [100.0, 10.0]]
    middle = ((LEFT + RIGHT) / 2, (FLOOR + ROOF) / 2)
    assert places(line_chart(CURVE, {"client": points})) == [(LEFT, FLOOR), middle, (RIGHT, ROOF)]


@pytest.mark.parametrize(
    ("most", "ticks"),
    [
        (10, ["0", "2", "4", "6", "8", "10"]),
        (35, ["0", "5", "10", "15", "20", "25", "30", "35"]),
        (1348, ["0", "200", "400", "600", "800", "1,000", "1,200", "1,400"]),
        (4, ["0", "1", "2", "3", "4"]),
    ],
)
def test_line_chart_counts_in_round_numbers(most: float, ticks: list[str]) -> None:
    assert texts(line_chart(CURVE, {"client": [[7, most]]}))[2:][: len(ticks)] == ticks


def test_line_chart_names_its_lines_and_axis() -> None:
    found = texts(line_chart(CURVE, {"<client>": [[1, 1]], "server": [[1, 2]]}))
    assert {"<client>", "server", "streams"} <= set(found)


def test_line_chart_of_nothing_but_zero_is_drawn() -> None:
    assert places(line_chart(CURVE, {"client": [[1, 0]]})) == [(LEFT, FLOOR)]
