"""Scenario 3: tunnels where GET and POST alone pass."""

from __future__ import annotations

from bench.chapter import Chapter
from bench.figures import US, Figure, Goal
from bench.programs.tunnels import US_GET, US_POLL

WAYS = (
    ("", "direct"),
    ("nginx-", "through nginx"),
    ("held-", "through a box that holds until whole, 100 Mbit/s, 40 ms"),
)
# Of the box's line, in MB/s.
LINE = 12.5
SHARE = 0.7


def _figures(before: str, where: str) -> tuple[Figure, ...]:
    return (
        Figure(f"{before}bulk-down", f"Bulk down, {where}", "MB/s", True, 1),
        Figure(f"{before}bulk-up", f"Bulk up, {where}", "MB/s", True, 1),
        Figure(f"{before}pingpong-1", f"Ping-pong, {where}", "messages/s", True),
        Figure(f"{before}pingpong-1-p50", f"Ping-pong, {where}, p50", "µs", False),
        Figure(f"{before}pingpong-1-p90", f"Ping-pong, {where}, p90", "µs", False),
        Figure(f"{before}pingpong-1-p99", f"Ping-pong, {where}, p99", "µs", False),
        Figure(f"{before}pingpong-1-p999", f"Ping-pong, {where}, p99.9", "µs", False),
    )


def _keys(before: str, start: str) -> tuple[str, ...]:
    keys = (figure.key for figure in _figures(before, ""))
    return tuple(key for key in keys if key.startswith(f"{before}{start}"))


FIGURES = (
    *(figure for before, where in WAYS for figure in _figures(before, where)),
    Figure("cpu-down", "Processor time of both ends per GB down, direct", "s/GB", False, 2),
    Figure("cpu-up", "Processor time of both ends per GB up, direct", "s/GB", False, 2),
    Figure("connects", "New streams, direct, one byte echoed, closed", "streams/s", True),
)

BULK = ("bulk-down", "bulk-up")
HELD = ("held-bulk-down", "held-bulk-up")

GOALS = (
    Goal("10 × httptunnel and gost PHT in bulk", BULK, ("httptunnel", "gost PHT"), factor=10.0),
    Goal("level with or ahead of Xray XHTTP in bulk", BULK, ("Xray XHTTP",)),
    Goal(
        "level with or ahead of everybody through nginx, in bulk",
        ("nginx-bulk-down", "nginx-bulk-up"),
    ),
    Goal(
        f"at least {SHARE:.0%} of the line through a box that holds until whole",
        HELD,
        floor=LINE * SHARE,
    ),
)

TABLES = (
    ("Direct", (*BULK, "cpu-down", "cpu-up")),
    (
        "Direct: ping-pong and new streams",
        (*_keys("", "pingpong"), "connects"),
    ),
    ("Through nginx, which buffers requests and responses", _keys("nginx-", "bulk")),
    ("Through nginx: ping-pong", _keys("nginx-", "pingpong")),
    ("Through a box that holds every request and response until whole", _keys("held-", "bulk")),
    ("Through that box: ping-pong", _keys("held-", "pingpong")),
)

HOW = """\
- As scenario 2, with programs that need neither CONNECT nor an Upgrade. `underpass` is its
  carrier `stream` without a box (left to itself it would take a WebSocket there), and through a box
  what it chooses by itself: `stream` where it passes, else `poll`. httptunnel and http-tunnel lead
  to one destination, which their server or client is told; httptunnel serves one stream at a time
  and is not measured in more.
- **nginx** is a reverse proxy before the server, buffering both ways, as it comes; it speaks
  HTTP/1.1 and keeps TCP connections to the server, which is better for everybody than its default.
- **The box** (`bench/held_box.py`) lets a request or response go on only when it is whole, as virus
  scanners do, and has a line of 100 Mbit/s each way and 40 ms there and back.
- **0** means that nothing came through in the time (some seconds), or that no stream opened.

#### What these figures cannot say

- Xray lets 30 ms pass between POSTs unless told otherwise, so that it looks like a browser; its
  ping-pong and much of its bulk up are those 30 ms.
- httptunnel's traffic is not encrypted at all, and http-tunnel's is not protected against change.
- httptunnel can pad for proxies that buffer (`--proxy-buffer-size`), up alone; it stalls down all
  the same.
"""

CHAPTER = Chapter(
    "requests",
    "Tunnels where GET and POST alone pass",
    FIGURES,
    TABLES,
    GOALS,
    HOW,
    yardsticks=("direct",),
    ours=(US, US_POLL, US_GET),
)
