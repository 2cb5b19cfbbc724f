"""Bar charts as plain SVG: one figure, a bar a program, a line from least to most. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from bench.figures import US, US_TWICE, YARDSTICKS, Figure, Summary, formatted

WIDTH = 760
ROW = 30
TOP = 56
BOTTOM = 16
LABELS = 110
VALUES = 230
# Where bars end: what is left of the width holds the numbers.
SPAN = WIDTH - LABELS - VALUES

COLOURS = {"us": "#0b6e4f", "yardstick": "#b9bec4", "peer": "#5b7fb4"}
STYLE = "font-family='system-ui, sans-serif' font-size='13'"


def bar_chart(figure: Figure, bars: Mapping[str, Summary]) -> str:
    """The picture of one figure, best program first. Nothing in it needs a script or a font."""
    rows = sorted(bars.items(), key=lambda bar: bar[1].median, reverse=figure.higher_is_better)
    scale = SPAN / (max(summary.most for _, summary in rows) or 1)
    height = TOP + ROW * len(rows) + BOTTOM
    direction = "more is better" if figure.higher_is_better else "less is better"
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' "
        f"width='{WIDTH}' height='{height}' role='img' {STYLE}>",
        f"<title>{escape(figure.title)}</title>",
        f"<rect width='{WIDTH}' height='{height}' fill='#ffffff'/>",
        f"<text x='12' y='24' font-size='16' font-weight='600'>{escape(figure.title)}</text>",
        f"<text x='12' y='43' fill='#555'>{escape(figure.unit)}, {direction}; "
        "bar: median, line: least to most</text>",
    ]
    for number, (program, summary) in enumerate(rows):
        parts += _row(figure, program, summary, TOP + ROW * number, scale)
    return "\n".join([*parts, "</svg>", ""])


def _row(figure: Figure, program: str, summary: Summary, top: int, scale: float) -> list[str]:
    middle = top + ROW // 2
    length = max(summary.median, 0) * scale
    least, most = (LABELS + max(value, 0) * scale for value in (summary.least, summary.most))
    weight = " font-weight='600'" if program == US else ""
    text = formatted(figure, summary.median)
    spread = f"{formatted(figure, summary.least)} – {formatted(figure, summary.most)}"
    return [
        f"<text x='{LABELS - 8}' y='{middle + 5}' text-anchor='end'{weight}>"
        f"{escape(program)}</text>",
        f"<rect x='{LABELS}' y='{top + 5}' width='{length:.1f}' height='{ROW - 10}' "
        f"fill='{_colour(program)}'/>",
        f"<line x1='{least:.1f}' x2='{most:.1f}' y1='{middle}' y2='{middle}' "
        "stroke='#222' stroke-width='1.5'/>",
        f"<text x='{most + 8:.1f}' y='{middle + 5}'{weight}>{text}"
        f"<tspan fill='#777' dx='8' font-weight='400'>{spread}</tspan></text>",
    ]


def _colour(program: str) -> str:
    if program in (US, US_TWICE):
        return COLOURS["us"]
    return COLOURS["yardstick" if program in YARDSTICKS else "peer"]
