"""Writes docs/performance.md and its pictures anew from all that lies in bench/results.

python -m bench.page
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.chapter import Chapter
from bench.chapters import CHAPTERS
from bench.figures import summaries_of
from bench.markdown import write_page
from bench.picture import bar_chart, line_chart

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "performance.md"


def redraw() -> None:
    """Write every picture and the page from the results of every scenario that has some."""
    documents = {}
    for chapter in CHAPTERS:
        file = RESULTS / f"{chapter.name}.json"
        if file.exists():
            documents[chapter.name] = json.loads(file.read_text())
            draw(chapter, documents[chapter.name])
    PAGE.write_text(write_page(documents))


def draw(chapter: Chapter, results: dict[str, Any]) -> None:
    """A picture a figure and a curve; one whose figure was not measured goes."""
    summaries = summaries_of(results)
    pictures = {
        figure.key: bar_chart(chapter, figure, bars)
        for figure in chapter.figures
        if (bars := {name: s[figure.key] for name, s in summaries.items() if figure.key in s})
    }
    curves = results.get("curves", {})
    pictures |= {
        curve.key: line_chart(curve, curves[curve.key])
        for curve in chapter.curves
        if curves.get(curve.key)
    }
    for key in (*(f.key for f in chapter.figures), *(c.key for c in chapter.curves)):
        file = RESULTS / f"{chapter.name}-{key}.svg"
        if key in pictures:
            file.write_text(pictures[key])
        else:
            file.unlink(missing_ok=True)


if __name__ == "__main__":
    redraw()
