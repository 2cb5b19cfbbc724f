"""The pictures: well-formed, best first, everybody named."""

from __future__ import annotations

from xml.etree import ElementTree

from bench.figures import BY_KEY, Summary
from bench.picture import LABELS, SPAN, bar_chart

SVG = "{http://www.w3.org/2000/svg}"
BARS = {
    "squid": Summary(10.0, 8.0, 12.0, 5),
    "underpass": Summary(20.0, 19.0, 25.0, 5),
    "<direct>": Summary(40.0, 30.0, 50.0, 5),
}


def texts(picture: str) -> list[str]:
    return ["".join(text.itertext()) for text in ElementTree.fromstring(picture).iter(f"{SVG}text")]


def test_bar_chart_names_every_program_best_first() -> None:
    found = texts(bar_chart(BY_KEY["gets"], BARS))
    assert [text for text in found if text in BARS] == ["<direct>", "underpass", "squid"]


def test_bar_chart_turns_round_where_less_is_better() -> None:
    found = texts(bar_chart(BY_KEY["stall"], BARS))
    assert [text for text in found if text in BARS] == ["squid", "underpass", "<direct>"]


def test_bar_chart_bars_are_to_scale_and_inside() -> None:
    tree = ElementTree.fromstring(bar_chart(BY_KEY["gets"], BARS))
    widths = [float(bar.get("width", "0")) for bar in tree.iter(f"{SVG}rect")][1:]
    assert widths == [SPAN * 0.8, SPAN * 0.4, SPAN * 0.2]
    assert all(float(line.get("x2", "0")) <= LABELS + SPAN for line in tree.iter(f"{SVG}line"))


def test_bar_chart_of_nothing_but_zero_is_drawn() -> None:
    picture = bar_chart(BY_KEY["stall"], {"squid": Summary(0.0, -0.1, 0.0, 5)})
    assert "squid" in texts(picture)
