"""docs/performance.md, written from the results alone. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.figures import (
    BY_KEY,
    FIGURES,
    GOALS,
    US,
    Figure,
    Summaries,
    Summary,
    formatted,
    missed,
    summaries_of,
    verdict,
)

# The tables of the page: a heading and the figures that stand side by side.
TABLES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Bulk", ("bulk-down", "bulk-up", "cpu-down", "cpu-up")),
    ("Ping-pong, 64-byte messages, 1 tunnel", ("pingpong-1", "pingpong-1-p50", "pingpong-1-p99")),
    (
        "Ping-pong, 64-byte messages, 64 tunnels",
        ("pingpong-64", "pingpong-64-p50", "pingpong-64-p99"),
    ),
    ("New tunnels and plain requests", ("connects", "gets")),
    ("Memory", ("memory-1000", "memory-5000", "stall")),
)

HOW = """\
## How it is measured

- The load generator and the origin are small C programs (`bench/loadgen.c`, `bench/origin.c`), one
  thread and one epoll loop each. Every byte of a bulk transfer is compared with a pattern, every
  message and every answer with what it should be; one wrong byte fails the run.
- All programs are measured in one run, one after the other in every figure of every round; each
  round begins with another. The figures are medians over the rounds, least and most in brackets.
- Like for like: one process or one worker each (tinyproxy has a thread for each connection), no
  cache, any port of loopback allowed, no access log. Only underpass writes its own, into a file, as
  it does for every user. Otherwise each program's defaults.
- **Bulk**: one tunnel, as fast as it goes; processor time is user and system time of the proxy and
  its children for each 10⁹ bytes moved. **Ping-pong**: one message under way in each tunnel.
  **CONNECT**: 32 at a time, each connects, sends CONNECT, sends one byte, waits for its echo and
  closes in the ordinary way. **GET**: 32 connections kept alive where the proxy lets them; a proxy
  that closes after each answer pays for its reconnects.
- **Memory** is the growth of the proxy's own memory (PSS) over the same process after one tunnel,
  divided by the tunnels held open, each of which carried one byte. What the kernel keeps for the
  sockets is not in it. **Stalled reader**: the most memory grew while one origin pushed without
  end to a client that never reads.

## What these figures cannot say

- Everything is on loopback: no loss, no delay, no network card. Only differences between programs
  on the same machine mean something.
- The generator, the origin and the proxy share the machine's cores, so a proxy's figure holds the
  generator's cost too. The row `direct` is the same load without any proxy: where a proxy comes
  near it, the generator is part of the limit.
- Nothing is pinned to a core. With one tunnel of ping-pong everything sleeps and wakes in turn, and
  the figure tells as much of where the kernel placed the processes as of the programs: `direct`,
  with two processes instead of three, can be several times faster or hardly faster at all.
- `bare relay` is not a proxy: some lines of Python on uvloop that check nothing
  (`bench/bare_relay.py`).
- tinyproxy's threads may use every core, the other programs only one; `underpass x2` is underpass
  with `--workers 2`, in the figures where that can matter.
- pproxy's GET figure is not like for like: it dials once for a client connection and sends every
  later request of that connection there, whatever host it names, and hands answers through
  unparsed (read in its source, and tried).
"""


def write_page(results: Mapping[str, Any]) -> str:
    """The whole page as Markdown."""
    summaries = summaries_of(results)
    parts = [
        "# Performance",
        "",
        "Written by `python -m bench.run` from `bench/results/proxy.json`; do not edit by hand.",
        "",
        *_circumstances(results),
        "",
        "## In short",
        "",
        *_verdicts(summaries),
        "",
        *_goals(summaries),
    ]
    for heading, keys in TABLES:
        figures = [BY_KEY[key] for key in keys if _measured(BY_KEY[key], summaries)]
        if figures:
            parts += ["", f"## {heading}", "", *_table(figures, summaries), "", *_pictures(figures)]
    parts += _failures(results["failures"])
    return "\n".join([*parts, "", HOW])


def _measured(figure: Figure, summaries: Summaries) -> bool:
    return any(figure.key in figures for figures in summaries.values())


def _circumstances(results: Mapping[str, Any]) -> list[str]:
    machine, programs = results["machine"], results["programs"]
    return [
        f"- **Machine**: {machine['cores']} cores, {machine['processor']}, "
        f"{machine['memory_gib']} GiB, {machine['kernel']}, CPython {machine['python']}",
        f"- **Run**: `{results['command']}`, finished {results['finished']}: rounds: "
        f"{results['rounds']}, {results['seconds_each']} s a measurement",
        "- **Programs**: "
        + "; ".join(f"{name} {p['version']} ({p['remark']})" for name, p in programs.items()),
    ]


def _verdicts(summaries: Summaries) -> list[str]:
    rows = [figure for figure in FIGURES if _measured(figure, summaries)]
    return [
        "Against the best other proxy in each figure; within 5% counts as level.",
        "",
        "| figure | |",
        "|---|---|",
        *(f"| {figure.title} | {verdict(figure, summaries)} |" for figure in rows),
    ]


def _goals(summaries: Summaries) -> list[str]:
    if not summaries.get(US):
        return ["underpass itself was not measured in this run."]
    lines = ["What underpass is to hold:", ""]
    for goal in GOALS:
        phrases = missed(goal, summaries)
        lines.append(
            f"- {goal.text}: " + (f"**not held** ({'; '.join(phrases)})" if phrases else "held")
        )
    return lines


def _table(figures: Sequence[Figure], summaries: Summaries) -> list[str]:
    heads = [f"{figure.title} ({figure.unit})" for figure in figures]
    lines = ["| | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(figures)]
    for program, found in summaries.items():
        cells = [_cell(figure, found.get(figure.key)) for figure in figures]
        if any(cell != "–" for cell in cells):
            name = f"**{program}**" if program == US else program
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _cell(figure: Figure, summary: Summary | None) -> str:
    if summary is None:
        return "–"
    least, most = formatted(figure, summary.least), formatted(figure, summary.most)
    return f"{formatted(figure, summary.median)} ({least} – {most})"


def _pictures(figures: Sequence[Figure]) -> list[str]:
    return [f"![{figure.title}](../bench/results/proxy-{figure.key}.svg)" for figure in figures]


def _failures(failures: Sequence[str]) -> list[str]:
    if not failures:
        return []
    return ["", "## Failed", "", *(f"- {failure}" for failure in failures)]
