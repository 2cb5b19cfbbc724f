"""Scenario 6: carriers that are cut."""

from __future__ import annotations

from bench.chapter import Chapter
from bench.figures import US, Figure, Goal
from bench.programs.tunnels import US_POLL, US_STREAM

FIGURES = (
    Figure("lost", "Bytes lost", "bytes", False),
    Figure("broken", "Applications' streams broken", "streams", False),
    Figure("resume-p50", "Until bytes flow again, p50", "ms", False),
    Figure("resume-p95", "Until bytes flow again, p95", "ms", False),
)

GOALS = tuple(
    goal
    for row in (US, US_STREAM, US_POLL)
    for goal in (
        Goal(f"{row}: no byte lost, no stream broken", ("lost", "broken"), limit=0, ours=row),
        Goal(f"{row}: resumed within 1 s (p95)", ("resume-p95",), limit=1000, ours=row),
    )
)

TABLES = (
    (
        "All TCP connections between the ends are reset every 5 s",
        tuple(figure.key for figure in FIGURES),
    ),
)

HOW = """\
- A relay between client and server resets every TCP connection between them three times, 5 s apart.
  Eight applications meanwhile send 512 bytes every 40 ms to an echo, each over a stream of its own,
  and compare every byte that comes back; one wrong byte fails the run.
- **Lost** are bytes that an application sent and whose echo never came. **Broken** is a stream that
  ended, or that brought nothing for 8 s; its application opens another at once, and again every
  0.1 s until that works. **Until bytes flow again** is from the cut until a byte that was sent
  after it is back, on the old stream or on a new one; the applications' 40 ms are in it. For a
  program that does not come back it is until the end of the run.
- All programs run at the same time, with cuts 0.4 s apart: next to nothing is to be carried, and
  what is measured is waiting.

#### What these figures cannot say

- A stream that breaks is lost to its application, and many cannot simply begin anew as these do:
  for them the time until bytes flow again says nothing.
"""

CHAPTER = Chapter(
    "cuts",
    "Carriers that are cut",
    FIGURES,
    TABLES,
    GOALS,
    HOW,
    ours=(US, US_STREAM, US_POLL),
)
