"""Scenario 1: the proxy, beside other proxies."""

from __future__ import annotations

from bench.chapter import Chapter
from bench.figures import US, US_TWICE, Figure, Goal

FIGURES = (
    Figure("bulk-down", "Bulk down, 1 tunnel", "GB/s", True, 2),
    Figure("bulk-up", "Bulk up, 1 tunnel", "GB/s", True, 2),
    Figure("cpu-down", "Processor time per GB down", "s/GB", False, 2),
    Figure("cpu-up", "Processor time per GB up", "s/GB", False, 2),
    Figure("pingpong-1", "Ping-pong, 1 tunnel", "messages/s", True),
    Figure("pingpong-1-p50", "Ping-pong, 1 tunnel, p50", "µs", False),
    Figure("pingpong-1-p90", "Ping-pong, 1 tunnel, p90", "µs", False),
    Figure("pingpong-1-p99", "Ping-pong, 1 tunnel, p99", "µs", False),
    Figure("pingpong-1-p999", "Ping-pong, 1 tunnel, p99.9", "µs", False),
    Figure("pingpong-64", "Ping-pong, 64 tunnels", "messages/s", True),
    Figure("pingpong-64-p50", "Ping-pong, 64 tunnels, p50", "µs", False),
    Figure("pingpong-64-p90", "Ping-pong, 64 tunnels, p90", "µs", False),
    Figure("pingpong-64-p99", "Ping-pong, 64 tunnels, p99", "µs", False),
    Figure("pingpong-64-p999", "Ping-pong, 64 tunnels, p99.9", "µs", False),
    Figure("connects", "CONNECT, one byte echoed, closed", "tunnels/s", True),
    Figure("gets", "Plain GET of 1 KiB forwarded", "requests/s", True),
    Figure("memory-1000", "Memory per idle tunnel at 1,000", "KiB", False, 1),
    Figure("memory-5000", "Memory per idle tunnel at 5,000", "KiB", False, 1),
    Figure("stall", "Memory growth under a stalled reader", "MiB", False, 2),
)

TRAFFIC_KEYS = (
    "bulk-down",
    "bulk-up",
    "pingpong-1",
    "pingpong-1-p50",
    "pingpong-1-p99",
    "pingpong-64",
    "pingpong-64-p50",
    "pingpong-64-p99",
    "connects",
)
# Percentiles beyond p99 are shown, and no goal is held by them: a few samples make them.
HELD_KEYS = (*TRAFFIC_KEYS, "cpu-down", "cpu-up", "gets", "memory-1000", "memory-5000", "stall")

GOALS = (
    Goal("level with or ahead of pproxy and proxy.py in all", HELD_KEYS, ("pproxy", "proxy.py")),
    Goal(
        "level with or ahead of squid, tinyproxy and gost in bulk, ping-pong and CONNECT/s",
        TRAFFIC_KEYS,
        ("squid", "tinyproxy", "gost"),
    ),
    Goal("at most 24 KiB a tunnel", ("memory-1000", "memory-5000"), limit=24),
    Goal("at most 1 MiB under a stalled reader", ("stall",), limit=1),
)

TABLES = (
    ("Bulk", ("bulk-down", "bulk-up", "cpu-down", "cpu-up")),
    (
        "Ping-pong, 64-byte messages, 1 tunnel",
        ("pingpong-1", "pingpong-1-p50", "pingpong-1-p90", "pingpong-1-p99", "pingpong-1-p999"),
    ),
    (
        "Ping-pong, 64-byte messages, 64 tunnels",
        (
            "pingpong-64",
            "pingpong-64-p50",
            "pingpong-64-p90",
            "pingpong-64-p99",
            "pingpong-64-p999",
        ),
    ),
    ("New tunnels and plain requests", ("connects", "gets")),
    ("Memory", ("memory-1000", "memory-5000", "stall")),
)

HOW = """\
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

#### What these figures cannot say

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

CHAPTER = Chapter(
    "proxy",
    "The proxy",
    FIGURES,
    TABLES,
    GOALS,
    HOW,
    yardsticks=("direct", "bare relay"),
    ours=(US, US_TWICE),
)
