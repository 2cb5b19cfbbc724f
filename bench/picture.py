"""Charts as plain SVG: bars for a figure, lines for a curve; no script, no font. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from bench.chapter import Chapter, Curve
from bench.figures import Figure, Summary, formatted

WIDTH = 760
ROW = 30
TOP = 56
BOTTOM = 16
# The least room for names, and how wide a letter is about.
LABELS = 110
LETTER = 7.5
VALUES = 230

COLOURS = {"us": "#0b6e4f", "yardstick": "#b9bec4", "peer": "#5b7fb4"}
LINES = ("#0b6e4f", "#5b7fb4", "#b4553c", "#8a6fb0", "#6b7075")
STYLE = "font-family='system-ui, sans-serif' font-size='13'"

# The place of a line chart's field in the picture.
LEFT, RIGHT, FLOOR, ROOF = 80, 740, 320, 64
CHART_HEIGHT = 390
# At least so many steps of the vertical axis; a step is 1, 2 or 5 of some power of ten.
STEPS = 4


def bar_chart(chapter: Chapter, figure: Figure, bars: Mapping[str, Summary]) -> str:
    """The picture of one figure, best program first: a bar a program, a line from least to most."""
    rows = sorted(bars.items(), key=lambda bar: bar[1].median, reverse=figure.higher_is_better)
    labels = label_room(bars)
    scale = (WIDTH - labels - VALUES) / (max(summary.most for _, summary in rows) or 1)
    direction = "more is better" if figure.higher_is_better else "less is better"
    parts = _opening(
        figure.title,
        f"{figure.unit}, {direction}; bar: median, line: least to most",
        TOP + ROW * len(rows) + BOTTOM,
    )
    for number, (program, summary) in enumerate(rows):
        bold = program == chapter.ours[0]
        place = _Row(labels, TOP + ROW * number, scale, _colour(chapter, program), bold)
        parts += _row(figure, program, summary, place)
    return "\n".join([*parts, "</svg>", ""])


def label_room(programs: Mapping[str, Summary]) -> int:
    """How much of the width the names take."""
    return max(LABELS, *(math.ceil(len(name) * LETTER) + 16 for name in programs))


@dataclass(frozen=True, slots=True)
class _Row:
    """Where a program's row stands, and how it looks."""

    left: int
    top: int
    scale: float
    colour: str
    bold: bool


def _opening(title: str, subtitle: str, height: int) -> list[str]:
    return [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' "
        f"width='{WIDTH}' height='{height}' role='img' {STYLE}>",
        f"<title>{escape(title)}</title>",
        f"<rect width='{WIDTH}' height='{height}' fill='#ffffff'/>",
        f"<text x='12' y='24' font-size='16' font-weight='600'>{escape(title)}</text>",
        f"<text x='12' y='43' fill='#555'>{escape(subtitle)}</text>",
    ]


def _row(figure: Figure, program: str, summary: Summary, place: _Row) -> list[str]:
    middle = place.top + ROW // 2
    ends = (summary.least, summary.most)
    least, most = (place.left + max(value, 0) * place.scale for value in ends)
    weight = " font-weight='600'" if place.bold else ""
    spread = " – ".join(formatted(figure, end) for end in ends)
    return [
        f"<text x='{place.left - 8}' y='{middle + 5}' text-anchor='end'{weight}>"
        f"{escape(program)}</text>",
        f"<rect x='{place.left}' y='{place.top + 5}' "
        f"width='{max(summary.median, 0) * place.scale:.1f}' height='{ROW - 10}' "
        f"fill='{place.colour}'/>",
        f"<line x1='{least:.1f}' x2='{most:.1f}' y1='{middle}' y2='{middle}' "
        "stroke='#222' stroke-width='1.5'/>",
        f"<text x='{most + 8:.1f}' y='{middle + 5}'{weight}>{formatted(figure, summary.median)}"
        f"<tspan fill='#777' dx='8' font-weight='400'>{spread}</tspan></text>",
    ]


def _colour(chapter: Chapter, program: str) -> str:
    if program in chapter.ours:
        return COLOURS["us"]
    return COLOURS["yardstick" if program in chapter.yardsticks else "peer"]


# One line of a curve: [[x, y], ...]
Points = Sequence[Sequence[float]]


def line_chart(curve: Curve, lines: Mapping[str, Points]) -> str:
    """The picture of one curve: a line a name over one horizontal axis, the vertical from 0."""
    axis = _axis(curve, lines)
    parts = _opening(curve.title, curve.upward, CHART_HEIGHT) + axis.grid(curve)
    for number, (name, points) in enumerate(lines.items()):
        parts += _line(axis, points, LINES[number % len(LINES)])
        left = LEFT + number * (RIGHT - LEFT) // len(lines)
        parts.append(
            f"<rect x='{left}' y='372' width='12' height='4' fill='{LINES[number % len(LINES)]}'/>"
            f"<text x='{left + 18}' y='379'>{escape(name)}</text>"
        )
    return "\n".join([*parts, "</svg>", ""])


def _line(axis: _Axis, points: Points, colour: str) -> list[str]:
    places = [axis.place(x, y) for x, y in points]
    path = " ".join(f"{left:.1f},{top:.1f}" for left, top in places)
    line = f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='2'/>"
    dot = "<circle cx='{:.1f}' cy='{:.1f}' r='3.5' fill='{}'/>"
    return [line, *(dot.format(left, top, colour) for left, top in places)]


@dataclass(frozen=True, slots=True)
class _Axis:
    """From numbers to places in the field."""

    across: tuple[float, ...]
    step: float
    steps: int
    logarithmic: bool

    def place(self, x: float, y: float) -> tuple[float, float]:
        least, most = self._scaled(self.across[0]), self._scaled(self.across[-1])
        share = (self._scaled(x) - least) / ((most - least) or 1)
        return LEFT + share * (RIGHT - LEFT), FLOOR - y / (self.step * self.steps) * (FLOOR - ROOF)

    def _scaled(self, x: float) -> float:
        return math.log10(max(x, 1e-9)) if self.logarithmic else x

    def grid(self, curve: Curve) -> list[str]:
        parts = []
        for number in range(self.steps + 1):
            value = self.step * number
            top = self.place(self.across[0], value)[1]
            parts += [
                f"<line x1='{LEFT}' x2='{RIGHT}' y1='{top:.1f}' y2='{top:.1f}' stroke='#e3e5e8'/>",
                f"<text x='{LEFT - 8}' y='{top + 5:.1f}' text-anchor='end' fill='#555'>"
                f"{value:,.{curve.decimals}f}</text>",
            ]
        for x in self.across:
            left = self.place(x, 0)[0]
            parts.append(
                f"<text x='{left:.1f}' y='{FLOOR + 18}' text-anchor='middle' fill='#555'>"
                f"{x:,.0f}</text>"
            )
        parts.append(
            f"<text x='{(LEFT + RIGHT) // 2}' y='{FLOOR + 38}' text-anchor='middle'>"
            f"{escape(curve.across)}</text>"
        )
        return parts


def _axis(curve: Curve, lines: Mapping[str, Points]) -> _Axis:
    points = [point for line in lines.values() for point in line]
    across = tuple(sorted({x for x, _ in points}))
    most = max((y for _, y in points), default=0) or 1
    power = 10 ** math.floor(math.log10(most / STEPS))
    step = max(part * power for part in (1, 2, 5) if part * power <= most / STEPS)
    return _Axis(across, step, math.ceil(most / step - 1e-9), curve.logarithmic)
