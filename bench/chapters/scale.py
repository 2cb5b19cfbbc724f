"""Scenario 5: from 1 to 10,000 streams in one session, from 1 to 2,000 clients at one server."""

from __future__ import annotations

from bench.chapter import Chapter, Curve
from bench.figures import Figure, Goal

SERVER = "server"
CLIENT = "client"
BOTH = "both ends"

STREAM_MEMORY = ("stream-memory-1000", "stream-memory-10000")
SESSION_MEMORY = ("session-memory-100", "session-memory-2000")

FIGURES = (
    Figure("stream-memory-1000", "Memory per idle stream at 1,000", "KiB", False, 1),
    Figure("stream-memory-10000", "Memory per idle stream at 10,000", "KiB", False, 1),
    Figure("session-memory-100", "Memory per idle session at 100", "KiB", False, 1),
    Figure("session-memory-2000", "Memory per idle session at 2,000", "KiB", False, 1),
    Figure("idle-streams", "Processor time of 10,000 idle streams", "ms/s", False, 1),
    Figure("idle-sessions", "Processor time of 2,000 idle sessions", "ms/s", False, 1),
    Figure("open-stream", "Processor time to open a stream, 10,000 in all", "ms", False, 2),
    Figure("open-session", "Processor time to open a session, 2,000 in all", "ms", False, 2),
    Figure("flat-open", "One busy stream among up to 10,000 open", "× alone", False, 2),
    Figure("flat-busy", "Up to 1,000 busy streams", "× one", False, 2),
    Figure("busy-rate", "Busy server: exchanges", "exchanges/s", True),
    Figure("busy-cost", "Busy server: processor time per exchange", "µs", False, 1),
    Figure("busy-p50", "Busy server, p50", "ms", False, 1),
    Figure("busy-p90", "Busy server, p90", "ms", False, 1),
    Figure("busy-p99", "Busy server, p99", "ms", False, 1),
    Figure("busy-p999", "Busy server, p99.9", "ms", False, 1),
    Figure("busy-memory", "Busy server: memory of the whole process", "MiB", False),
)

GOALS = (
    Goal("at most 24 KiB a stream at the server, idle both ways", STREAM_MEMORY, limit=24),
    Goal("and at the client", STREAM_MEMORY, limit=24, ours=CLIENT),
    Goal("at most 256 KiB a session at the server", SESSION_MEMORY, limit=256),
    Goal("and at the client", SESSION_MEMORY, limit=256, ours=CLIENT),
    Goal(
        "cost per byte flat (within 20%) from 1 to 10,000 streams, one of them busy",
        ("flat-open",),
        limit=1.2,
        ours=BOTH,
    ),
    Goal("and from 1 to 1,000, all of them busy", ("flat-busy",), limit=1.2, ours=BOTH),
)

PROCESS = "MiB, the whole process"
PER_GIGABYTE = "processor seconds per GB"
CURVES = (
    Curve("memory-streams", "Memory over idle streams", "streams in one session", PROCESS),
    Curve("cost-open", "One busy stream among many idle", "streams open", PER_GIGABYTE, 2),
    Curve("cost-busy", "All streams busy at once", "streams", PER_GIGABYTE, 2),
    Curve(
        "cost-exchange",
        "A message of 64 bytes under way in each stream",
        "streams",
        "processor µs a message and its echo",
    ),
    Curve("memory-busy", "Memory while all are busy at once", "streams", PROCESS),
    Curve("memory-clients", "Memory over clients", "sessions at one server", PROCESS),
    Curve(
        "cost-clients",
        "All clients busy at once",
        "clients, a stream each",
        "processor µs an exchange of 1 KiB",
    ),
)

HOW = """\
- **Streams**: `underpass server` and `underpass client` as a user runs them, one process each, one
  session over one WebSocket; programs come in by SOCKS5. The load generator opens the streams, a
  byte goes each way in each, and memory (PSS) is read once they have stood idle for a moment: its
  growth over one stream, divided by them. The sockets of both ends with all that belongs to them
  in the process are in it, what the kernel keeps is not. The limits on streams in a session and of
  a user (1,024 and 4,096 unless told) are raised for it.
- **Cost per byte** is processor time, user and system, of server and client together for each 10⁹
  bytes, half of them up and half down, or down alone where all streams are busy, measured once all
  are open and every buffer on the way is full. *One busy among idle* is what a session with much
  going on in few places costs, and *all busy at once* is the other extreme: every stream moves as
  much as it can. That goes to 1,000, and the origin's buffers are bounded to 64 KiB for it: more
  would fill all that the kernel has for TCP. The ratio is that of the number of streams whose cost
  is farthest from that of one alone. What was tried stands in
  [decision 012](decisions/012-many-streams.md).
- **Clients** are sessions of the library (`ClientTunnel`), all in one process: what they cost there
  is divided by their number. An exchange is 1 KiB to an echo and back, one under way in each
  stream, each compared with what was sent. With 2,000 under way at once their percentiles tell how
  long the queue is and whether anybody is passed over, not how long the way is.

#### What these figures cannot say

- Everything is on loopback and the two ends, the origin and the generator share the cores: how many
  bytes a second are moved by many streams is not shown, as it would be the machine's figure.
- The many clients are Python too and share the cores with the server, so `exchanges/s` is what the
  whole machine does; what the server alone costs is the processor time.
- A page of memory counts as soon as it is touched, and freed memory is kept for the next buffers
  (16 MiB at most): after a burst a process is larger than what it holds.
"""

CHAPTER = Chapter(
    "scale",
    "Scale",
    FIGURES,
    (
        ("Memory", (*STREAM_MEMORY, *SESSION_MEMORY)),
        ("Idle, and opening", ("idle-streams", "idle-sessions", "open-stream", "open-session")),
        ("Cost per byte, by that of one stream alone", ("flat-open", "flat-busy")),
        (
            "A busy server: 500 clients with 4 streams each, 1 KiB exchanges",
            (
                "busy-rate",
                "busy-p50",
                "busy-p90",
                "busy-p99",
                "busy-p999",
                "busy-cost",
                "busy-memory",
            ),
        ),
    ),
    GOALS,
    HOW,
    ours=(SERVER, CLIENT, BOTH),
    curves=CURVES,
)
