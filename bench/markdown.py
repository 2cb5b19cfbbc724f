"""docs/performance.md, written from the results alone. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.chapter import NO_PEER, Chapter, Curve
from bench.chapters import CHAPTERS
from bench.figures import Figure, Goal, Summaries, Summary, formatted, summaries_of

# What a results file holds; and all of them by the name of their chapter.
Results = Mapping[str, Any]
Documents = Mapping[str, Results]

HEAD = """\
# Performance

Written by `python -m bench.page` from `bench/results/*.json`; do not edit by hand. `make bench`
measures it all anew, [bench/README.md](../bench/README.md) says how to read it.

## In short

What underpass is to hold, scenario by scenario, by the medians of one run. A program that is ahead
of underpass in a figure is named in the first table of its chapter.
"""


def write_page(documents: Documents, chapters: Sequence[Chapter] = CHAPTERS) -> str:
    """The whole page as Markdown; a chapter without results is said to be missing."""
    written = [_Part(c, documents[c.name]) if c.name in documents else None for c in chapters]
    parts = [HEAD]
    for chapter, part in zip(chapters, written, strict=True):
        parts += [f"**{chapter.title}**", "", *(part.goals() if part else ["- not measured"]), ""]
    for part in filter(None, written):
        parts += part.lines()
    return "\n".join(parts)


@dataclass(frozen=True, slots=True)
class _Part:
    """One chapter with its results."""

    chapter: Chapter
    results: Results

    @property
    def summaries(self) -> Summaries:
        return summaries_of(self.results)

    def goals(self) -> list[str]:
        if not any(self.summaries.get(name) for name in self.chapter.ours):
            return ["- underpass itself was not measured in this run."]
        return [f"- {goal.text}: {self._stand(goal)}" for goal in self.chapter.goals]

    def _stand(self, goal: Goal) -> str:
        """Whether a goal is held, or where not, or that there was nobody to compare with."""
        phrases = self.chapter.missed(goal, self.summaries)
        if not phrases:
            absent = [name for name in goal.peers if not self.summaries.get(name)]
            return f"held; not measured: {', '.join(absent)}" if absent else "held"
        if all(phrase.endswith(NO_PEER) for phrase in phrases):
            named = ", ".join(goal.peers)
            return f"**not known**, as none of these was measured: {named or 'any other program'}"
        return f"**not held** ({'; '.join(phrases)})"

    def lines(self) -> list[str]:
        lines = [f"## {self.chapter.title}", "", *self._circumstances(), ""]
        lines += self._verdicts()
        for heading, keys in self.chapter.tables:
            figures = [self.chapter.figure(key) for key in keys if self._measured(key)]
            if figures:
                lines += [f"### {heading}", "", *self._table(figures), ""]
                lines += [*map(self._picture, figures), ""]
        for curve in self.chapter.curves:
            lines += self._curve(curve)
        if failures := self.results["failures"]:
            lines += ["### Failed", "", *(f"- {failure}" for failure in failures), ""]
        return [*lines, "### How it is measured", "", self.chapter.how]

    def _measured(self, key: str) -> bool:
        return any(key in figures for figures in self.summaries.values())

    def _circumstances(self) -> list[str]:
        results = self.results
        machine, programs = results["machine"], results["programs"]
        return [
            f"- **Machine**: {machine['cores']} cores, {machine['processor']}, "
            f"{machine['memory_gib']} GiB, {machine['kernel']}, CPython {machine['python']}"
            + (f", session core {machine['core']}" if "core" in machine else ""),
            f"- **Run**: `{results['command']}`, finished {results['finished']}: rounds: "
            f"{results['rounds']}, {results['seconds_each']} s a measurement",
            "- **Programs**: "
            + "; ".join(f"{name} {p['version']} ({p['remark']})" for name, p in programs.items()),
        ]

    def _verdicts(self) -> list[str]:
        """How underpass stands in each figure; nothing where nobody else is measured."""
        chapter, summaries = self.chapter, self.summaries
        rivals = set(summaries) - {*chapter.ours, *chapter.yardsticks}
        if not any(summaries[name] for name in rivals):
            return []
        rows = [figure for figure in chapter.figures if self._measured(figure.key)]
        return [
            "Against the best other program in each figure; within 5% counts as level.",
            "",
            "| figure | |",
            "|---|---|",
            *(f"| {figure.title} | {chapter.verdict(figure, summaries)} |" for figure in rows),
            "",
        ]

    def _table(self, figures: Sequence[Figure]) -> list[str]:
        heads = [f"{figure.title} ({figure.unit})" for figure in figures]
        lines = ["| | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(figures)]
        for program, found in self.summaries.items():
            cells = [_cell(figure, found.get(figure.key)) for figure in figures]
            if any(cell != "–" for cell in cells):
                name = f"**{program}**" if program == self.chapter.ours[0] else program
                lines.append(f"| {name} | " + " | ".join(cells) + " |")
        return lines

    def _picture(self, item: Figure | Curve) -> str:
        return f"![{item.title}](../bench/results/{self.chapter.name}-{item.key}.svg)"

    def _curve(self, curve: Curve) -> list[str]:
        lines = self.results.get("curves", {}).get(curve.key)
        if not lines:
            return []
        places = sorted({x for points in lines.values() for x, _ in points})
        rows = [f"| {curve.across} | " + " | ".join(lines) + " |", "|---:|" + "---:|" * len(lines)]
        for place in places:
            found = [dict(map(tuple, points)).get(place) for points in lines.values()]
            cells = ["–" if y is None else f"{y:,.{curve.decimals}f}" for y in found]
            rows.append(f"| {place:,.0f} | " + " | ".join(cells) + " |")
        return [f"### {curve.title}", "", *rows, "", self._picture(curve), ""]


def _cell(figure: Figure, summary: Summary | None) -> str:
    if summary is None:
        return "–"
    least, most = formatted(figure, summary.least), formatted(figure, summary.most)
    return f"{formatted(figure, summary.median)} ({least} – {most})"
