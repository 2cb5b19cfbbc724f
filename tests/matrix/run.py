"""`make matrix`: run every cell, and write docs/middleboxes.md and bench/results/matrix.json."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.matrix.cell import Outcome
from tests.matrix.first_byte import first_bytes, line
from tests.matrix.line import measure
from tests.matrix.page import page
from tests.matrix.suite import CELLS, PAGE, run_cells, verdict

LINE_BYTES = 100_000_000
RESULTS = Path(__file__).parents[2] / "bench" / "results" / "matrix.json"


def main() -> int:
    """Run; the number of cells that did not end as expected is the exit code's reason."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        outcomes = asyncio.run(run_cells(list(CELLS), Path(folder)))
    took = time.monotonic() - started
    wrong = {cell: said for cell, outcome in outcomes.items() if (said := verdict(cell, outcome))}
    for (mode, kind), said in wrong.items():
        print(f"NOT AS EXPECTED  {mode}, {kind}: {said}")
    works = sum(isinstance(one, Outcome) and one.works for one in outcomes.values())
    summary = f"{len(CELLS)} cells in {took:.0f} s: {works} work, {len(CELLS) - works} tell why not"
    print(f"{summary}; {len(wrong)} are not as expected")
    if wrong:
        return 1
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(Path(folder), LINE_BYTES))
    with tempfile.TemporaryDirectory() as folder:
        first = line(asyncio.run(first_bytes(Path(folder))))
    print(figures.line(), first, sep="\n")
    PAGE.write_text(page(["## Speed\n", figures.line(), "", first]), encoding="utf-8")
    cells = [
        {"box": mode, "carrier": kind, "error": one.error, "seconds": round(one.seconds, 1)}
        for (mode, kind), one in outcomes.items()
        if isinstance(one, Outcome)
    ]
    results = {"line": summary, "speed": figures.line(), "first": first, "cells": cells}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
