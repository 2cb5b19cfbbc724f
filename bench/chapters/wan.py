"""Scenario 4, and 6 on the WAN: long, narrow and lossy lines."""

from __future__ import annotations

from bench.chapter import Chapter
from bench.figures import Goal
from bench.generator import DIRECT
from bench.wan.plan import CELLS, FAST, LONG, LOSSY, MIDDLE, SHORT, figures

US_ROWS = ("underpass", "underpass stream", "underpass poll")
# A new stream's first byte may come so much after one round trip: the server's own dial, and what
# the programs on two busy cores take.
DIAL_MS = 10
SHARE = 0.9
MORE_MS = 30

HOW = """\
#### How it is measured

- A line of our own (`bench/wan/emulator.c`) between two network namespaces, over a TUN device in
  each: delay, rate, loss and a queue of one round trip, each way alike. It is measured against what
  was set by `python -m bench.wan.validate` (`bench/results/wan-validation.json`). Each program has
  a network of its own in each cell, made anew, so that no kernel remembers the line of the one
  before.
- TCP is as the kernel has it, but with **cubic**, which nearly every machine uses; this machine's
  own default may be another, and *bbr for all* shows everybody with BBR. underpass asks the kernel
  for BBR by itself where it may have it; the others leave it as it is.
- Traffic comes in by each program's own entry, from the client's namespace; the destinations stand
  on loopback in the server's. `direct` is the same without a program, over the line itself.
- **First byte**: from the application's first packet to the first byte that the destination sends.
  *asked*: the application waits until the entry says yes, then asks; *at once*: its request is
  right behind the address; *speaks first*: the destination sends as soon as it is dialled.
- **Page**: a document of 30 kB, then 60 objects from 6 hosts, 1.6 MB, at most 6 streams a host.
- **Ping-pong during bulk**: 64 bytes there and back, 20 ms between, beside one transfer, minus the
  same on the idle line.
- **Cuts**, every 5 s: nothing passes for 1 s, or the server's TCP is reset (`ss -K`).

#### What it cannot say

- Programs in the same cell run four at a time where the line is slow; at 200 Mbit/s alone.
- The emulator wakes late when the cores are busy; how late is in its counters.
"""

CHAPTER = Chapter(
    name="wan",
    title="Long, narrow and lossy lines",
    figures=figures(CELLS),
    tables=(
        (
            "First byte of a new stream",
            tuple(
                f"{name}-{line.name}"
                for name in ("greeted", "asked", "rash")
                for line in (SHORT, MIDDLE, LONG)
            ),
        ),
        (
            "Bulk on a long line",
            tuple(f"{way}-{line.name}" for line in (LONG, FAST) for way in ("down", "up")),
        ),
        (
            "Bulk under loss",
            (
                f"down-{LOSSY.name}",
                f"up-{LOSSY.name}",
                "down-80ms-2%-20M",
                f"down-{LOSSY.name}-bbr",
            ),
        ),
        (
            "Latency under load",
            tuple(
                f"busy-{way}{which}-{MIDDLE.name}"
                for way in ("down", "up")
                for which in ("", "-p95")
            ),
        ),
        ("A page", (f"page-{MIDDLE.name}", f"page-{LOSSY.name}")),
        ("Fairness", (f"fair-{MIDDLE.name}", f"fair-rate-{MIDDLE.name}")),
        (
            "Cuts",
            tuple(
                f"{kind}-{what}-{MIDDLE.name}"
                for kind in ("drop", "reset")
                for what in ("broken", "resume")
            ),
        ),
    ),
    goals=(
        *(
            Goal(
                f"first byte of a new stream within one round trip of {line.round_trip_ms} ms and"
                " the server's own dial",
                (f"greeted-{line.name}", f"rash-{line.name}"),
                limit=line.round_trip_ms + DIAL_MS,
            )
            for line in (SHORT, MIDDLE, LONG)
        ),
        *(
            Goal(
                f"at least 90% of a line of {line.mbit} Mbit/s at 200 ms",
                (f"down-{line.name}", f"up-{line.name}"),
                floor=SHARE * line.mbit,
            )
            for line in (LONG, FAST)
        ),
        Goal(
            "at 80 ms and 0.5% loss at least 3 × the best other program in bulk",
            (f"down-{LOSSY.name}", f"up-{LOSSY.name}"),
            factor=3,
        ),
        Goal(
            "ping-pong during bulk within 30 ms of idle",
            (f"busy-down-{MIDDLE.name}", f"busy-up-{MIDDLE.name}"),
            limit=MORE_MS,
        ),
        Goal(
            "no stream broken by a cut",
            (f"drop-broken-{MIDDLE.name}", f"reset-broken-{MIDDLE.name}"),
            limit=0,
        ),
        Goal(
            "bytes again within 3 round trips and half a second of a cut",
            (f"drop-resume-{MIDDLE.name}", f"reset-resume-{MIDDLE.name}"),
            limit=3 * MIDDLE.round_trip_ms + 500,
        ),
    ),
    how=HOW,
    yardsticks=(DIRECT,),
    ours=US_ROWS,
)
