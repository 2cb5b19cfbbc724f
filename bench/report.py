"""What a scenario's run has measured so far: said as it comes, written at the end."""

from __future__ import annotations

import json
import os
import platform
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.chapter import Chapter
from bench.figures import formatted, summarise
from bench.options import Options
from bench.page import RESULTS, ROOT, redraw
from underpass.protocol import session

Collected = dict[str, dict[str, list[float]]]
# curve key -> line -> [[x, y], ...]
Curves = dict[str, dict[str, list[list[float]]]]


class Report:
    """The values of one run of one chapter, by program and figure, one a round.

    `programs`: name -> {"version": ..., "remark": ...} of everybody who is measured, for the page.
    """

    def __init__(
        self, chapter: Chapter, options: Options, programs: Mapping[str, Mapping[str, str]]
    ) -> None:
        self.chapter, self.options, self.programs = chapter, options, programs
        self.values: Collected = {}
        self.curves: Curves = {}
        self.failures: list[str] = []
        self._began = time.monotonic()

    def begin_round(self, number: int) -> None:
        """Say which round begins; `number` counts from 0."""
        passed = time.monotonic() - self._began
        text = f"{self.chapter.name}: round {number + 1} of {self.options.rounds}, {passed:.0f} s"
        print(text, flush=True)

    def add(self, program: str, measurement: str, values: Mapping[str, float]) -> None:
        """Keep one measurement's values by figure key. Raises `KeyError` for an unknown figure."""
        for key, value in values.items():
            self.values.setdefault(program, {}).setdefault(key, []).append(value)
        parts = ((self.chapter.figure(key), value) for key, value in values.items())
        text = ", ".join(f"{formatted(figure, value)} {figure.unit}" for figure, value in parts)
        print(f"  {measurement:<14} {program:<20} {text}", flush=True)

    def fail(self, program: str, measurement: str, error: Exception) -> None:
        """Note that a measurement failed; the page says so."""
        self.failures.append(f"{program}, {measurement}: {error}")
        print(f"  {measurement:<14} {program:<20} FAILED: {error}", flush=True)

    def finish(self, seconds_each: float) -> int:
        """Print the medians, write the files if that was asked for; the command's exit code."""
        self._print_medians()
        if self.options.writes:
            self._write(seconds_each)
        return 1 if self.failures else 0

    def _print_medians(self) -> None:
        summaries = summarise(self.values)
        for figure in self.chapter.figures:
            rows = [(name, s[figure.key]) for name, s in summaries.items() if figure.key in s]
            rows.sort(key=lambda row: row[1].median, reverse=figure.higher_is_better)
            if rows:
                print(f"\n{figure.title} ({figure.unit})")
            for name, found in rows:
                least, most = formatted(figure, found.least), formatted(figure, found.most)
                print(f"  {name:<20} {formatted(figure, found.median):>10}   {least} to {most}")

    def _write(self, seconds_each: float) -> None:
        results: dict[str, Any] = {
            "scenario": self.chapter.name,
            "finished": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "command": self.options.command,
            "rounds": self.options.rounds,
            "seconds_each": seconds_each,
            "took": round(time.monotonic() - self._began),
            "machine": machine(),
            "programs": self.programs,
            "values": self.values,
            "failures": self.failures,
        }
        if self.curves:
            results["curves"] = self.curves
        RESULTS.mkdir(exist_ok=True)
        file = RESULTS / f"{self.chapter.name}.json"
        file.write_text(json.dumps(results, indent=1) + "\n")
        redraw()
        print(f"\nwritten: {file.relative_to(ROOT)}, its pictures, docs/performance.md")


def machine() -> dict[str, Any]:
    """What the figures depend on besides the programs."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": os.cpu_count(),
        "processor": model[1] if model else platform.processor(),
        "memory_gib": round(pages * page / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        # What an ordinary install brings is compiled where it can be; an editable one is not.
        "core": "pure" if str(session.__file__).endswith(".py") else "compiled",
    }
