"""What is measured on which line, and the figures that come of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.figures import Figure
from bench.wan.line import USUAL_CONGESTION, Line
from bench.wan.load import Load

# With one more cut there would be no rest between a slow resume and the next.
CUT_EVERY = 5.0
DROP_SECONDS = 1.0
FAIR_STREAMS = 20
# Rows that say something of single streams only.
NARROW = ("underpass stream", "underpass poll", "underpass auto")
# What one TCP stream does on a fast long line says one of each kind.
FAST_ROWS = ("direct", "underpass", "chisel", "Xray", "ssh -D")
NARROW_KINDS = ("first-byte", "bulk-down", "bulk-up")


@dataclass(frozen=True, slots=True)
class Cell:
    """One line and the traffic on it; `alone`: too fast to share two cores with another.

    `congestion` is what TCP does unless a program chooses for itself. `rows`: these programs alone,
    where the others would tell no more.
    """

    line: Line
    kinds: tuple[str, ...]
    alone: bool = False
    congestion: str = USUAL_CONGESTION
    rows: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As figures' keys have it."""
        suffix = "" if self.congestion == USUAL_CONGESTION else f"-{self.congestion}"
        return self.line.name + suffix

    @property
    def title(self) -> str:
        """As people read it."""
        suffix = "" if self.congestion == USUAL_CONGESTION else f", {self.congestion} for all"
        return self.line.title + suffix

    def loads(self, *, quick: bool) -> Iterator[Load]:
        """The traffic, in order."""
        for kind in self.kinds:
            yield load_of(kind, self.line, quick=quick)


def load_of(kind: str, line: Line, *, quick: bool) -> Load:
    """How long and how often; a long line needs longer to get going."""
    round_trip = line.round_trip_ms / 1000
    warmup, seconds = 1.0 + 12 * round_trip, 3.0
    if kind == "first-byte":
        return Load(kind, 0, 0, 3)
    if kind == "page":
        return Load(kind, 0, 0, 1 if quick else 2)
    if kind == "fair":
        return Load(kind, seconds, warmup, FAIR_STREAMS)
    if kind in ("drop", "reset"):
        return Load(kind, CUT_EVERY, 0)
    return Load(kind, seconds / 2 if quick else seconds, warmup)


FAST, SHORT = Line(200, 0, 200), Line(20, 0, 20)
MIDDLE, LOSSY, VERY_LOSSY = Line(80, 0, 20), Line(80, 0.5, 20), Line(80, 2, 20)
LONG = Line(200, 0, 20)
BOTH = ("bulk-down", "bulk-up")
CELLS: tuple[Cell, ...] = (
    Cell(SHORT, ("first-byte",)),
    Cell(MIDDLE, ("first-byte", "busy-down", "busy-up", "page", "fair")),
    Cell(MIDDLE, ("drop", "reset")),
    Cell(LOSSY, (*BOTH, "page")),
    Cell(LOSSY, ("bulk-down",), congestion="bbr"),
    Cell(VERY_LOSSY, ("bulk-down",)),
    Cell(LONG, ("first-byte", *BOTH)),
    Cell(FAST, BOTH, alone=True, rows=FAST_ROWS),
)
EVERYTHING = ("first-byte", *BOTH, "busy-down", "busy-up", "page", "fair", "drop", "reset")


def full() -> tuple[Cell, ...]:
    """Every kind of traffic on every line."""
    return (
        *(
            Cell(Line(round_trip, loss, mbit), EVERYTHING, alone=mbit > 100)
            for round_trip in (20, 80, 200)
            for loss in (0, 0.5, 2)
            for mbit in (20, 200)
        ),
        *(cell for cell in CELLS if cell.congestion != USUAL_CONGESTION),
    )


# Of each kind of traffic: the result's key, the figure's, its title, unit, whether more is better,
# decimals.
Shape = tuple[str, str, str, str, bool, int]
SHAPES: dict[str, tuple[Shape, ...]] = {
    "first-byte": (
        ("greeted", "greeted", "First byte, the destination speaks first", "ms", False, 0),
        ("asked", "asked", "First byte, asked once the entry has said yes", "ms", False, 0),
        ("rash", "rash", "First byte, asked at once", "ms", False, 0),
    ),
    "bulk-down": (("mbit", "down", "Bulk down", "Mbit/s", True, 1),),
    "bulk-up": (("mbit", "up", "Bulk up", "Mbit/s", True, 1),),
    "busy-down": (
        ("more", "busy-down", "Ping-pong during bulk down, more than idle, p50", "ms", False, 0),
        ("more95", "busy-down-p95", "The same, p95", "ms", False, 0),
    ),
    "busy-up": (
        ("more", "busy-up", "Ping-pong during bulk up, more than idle, p50", "ms", False, 0),
        ("more95", "busy-up-p95", "The same, p95", "ms", False, 0),
    ),
    "page": (("ms", "page", "Page of 60 objects from 6 hosts", "ms", False, 0),),
    "fair": (
        ("jain", "fair", "20 streams' fairness (Jain)", "of 1", True, 3),
        ("mbit", "fair-rate", "20 streams together", "Mbit/s", True, 1),
    ),
    "drop": (
        ("broken", "drop-broken", "Streams broken by 1 s of nothing", "of all", False, 2),
        ("resume", "drop-resume", "Bytes again after 1 s of nothing, slowest", "ms", False, 0),
    ),
    "reset": (
        ("broken", "reset-broken", "Streams broken by a reset", "of all", False, 2),
        ("resume", "reset-resume", "Bytes again after a reset, slowest", "ms", False, 0),
    ),
}


def key(figure: str, cell: Cell) -> str:
    """The key of one figure on one line."""
    return f"{figure}-{cell.name}"


def figures(cells: tuple[Cell, ...]) -> tuple[Figure, ...]:
    """All the figures of these cells; one that stands in two is there once."""
    found = {
        key(name, cell): Figure(
            key(name, cell), f"{title}: {cell.title}", unit, is_better, decimals
        )
        for cell in cells
        for kind in cell.kinds
        for _, name, title, unit, is_better, decimals in SHAPES[kind]
    }
    return tuple(found.values())


def values(kind: str, cell: Cell, result: dict[str, float]) -> dict[str, float]:
    """A result of traffic, by the keys of figures."""
    return {
        key(name, cell): result[of] for of, name, *_ in SHAPES[kind] if result.get(of) is not None
    }


def is_for(cell: Cell, kind: str, program: str) -> bool:
    """Whether a program is measured in a kind of traffic on a line."""
    is_told = not cell.rows or program in cell.rows
    return is_told and (program not in NARROW or kind in NARROW_KINDS)
