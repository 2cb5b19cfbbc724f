"""Scenario 2: tunnels on a good network."""

from __future__ import annotations

from bench.chapter import Chapter
from bench.figures import US, Figure, Goal
from bench.programs.tunnels import US_STREAM, US_TLS

FIGURES = (
    Figure("bulk-down", "Bulk down, 1 stream", "MB/s", True),
    Figure("bulk-up", "Bulk up, 1 stream", "MB/s", True),
    Figure("cpu-down", "Processor time of both ends per GB down", "s/GB", False, 2),
    Figure("cpu-up", "Processor time of both ends per GB up", "s/GB", False, 2),
    Figure("pingpong-1", "Ping-pong, 1 stream", "messages/s", True),
    Figure("pingpong-1-p50", "Ping-pong, 1 stream, p50", "µs", False),
    Figure("pingpong-1-p90", "Ping-pong, 1 stream, p90", "µs", False),
    Figure("pingpong-1-p99", "Ping-pong, 1 stream, p99", "µs", False),
    Figure("pingpong-1-p999", "Ping-pong, 1 stream, p99.9", "µs", False),
    Figure("pingpong-64", "Ping-pong, 64 streams", "messages/s", True),
    Figure("pingpong-64-p50", "Ping-pong, 64 streams, p50", "µs", False),
    Figure("pingpong-64-p90", "Ping-pong, 64 streams, p90", "µs", False),
    Figure("pingpong-64-p99", "Ping-pong, 64 streams, p99", "µs", False),
    Figure("pingpong-64-p999", "Ping-pong, 64 streams, p99.9", "µs", False),
    Figure("connects", "New streams, one byte echoed, closed", "streams/s", True),
    Figure("memory-client", "Memory per idle stream at 1,000, client", "KiB", False, 1),
    Figure("memory-server", "Memory per idle stream at 1,000, server", "KiB", False, 1),
)

BULK = ("bulk-down", "bulk-up")
MULTIPLEXED = ("chisel", "penguin")
ONE_EACH = ("wstunnel", "gost wss", "gost mwss")
# Peers that travel as WebSocket: `ssh -D` and rathole show what is possible besides.
WEB_SOCKETS = (*MULTIPLEXED, *ONE_EACH, "Xray", "Xray mux")

GOALS = (
    Goal("at least 2 × chisel in bulk each way", BULK, ("chisel",), factor=2.0),
    Goal("level with or ahead of wstunnel and gost in bulk each way", BULK, ONE_EACH),
    Goal("level with or ahead of every other WebSocket in bulk each way", BULK, WEB_SOCKETS),
    Goal(
        "3 × the new streams/s of chisel, wstunnel and gost",
        ("connects",),
        ("chisel", *ONE_EACH),
        factor=3.0,
    ),
    Goal("3 × the new streams/s of every other WebSocket", ("connects",), WEB_SOCKETS, factor=3.0),
    # 1.2 × the best time is 1 / 1.2 of it in speed.
    Goal("ping-pong p50 at most 1.2 × the best's", ("pingpong-1-p50",), factor=1 / 1.2),
    Goal("processor time per GB at most the best's", ("cpu-down", "cpu-up")),
    Goal("at most 24 KiB an idle stream, each end", ("memory-client", "memory-server"), limit=24),
)


def _with_percentiles(key: str) -> tuple[str, ...]:
    return (key, *(f"{key}-{name}" for name in ("p50", "p90", "p99", "p999")))


TABLES = (
    ("Bulk", ("bulk-down", "bulk-up", "cpu-down", "cpu-up")),
    ("Ping-pong, 64-byte messages, 1 stream", _with_percentiles("pingpong-1")),
    ("Ping-pong, 64-byte messages, 64 streams", _with_percentiles("pingpong-64")),
    ("New streams", ("connects",)),
    ("Memory", ("memory-client", "memory-server")),
)

HOW = """\
- Client and server of each tunnel run on this machine, as their manuals say, with the encryption
  that the list of programs names: none of them without. underpass encrypts end to end by itself, so
  its server needs no TLS around it; the row `underpass TLS` has it nevertheless, and pays twice.
- The load comes in by SOCKS5 (rathole: by the port it forwards) and goes to the origin of
  scenario 1; every byte is compared. Otherwise as there: in turn, in one run, medians.
- **Processor time** is that of both ends, for each 10⁹ bytes. **New streams**: 32 at a time, each
  opened, one byte echoed, closed. **Memory** is what each end grew by from one stream to 1,000 that
  are open and say nothing; what the kernel keeps for sockets is not in it.

#### What these figures cannot say

- Both ends, the generator and the origin share the machine's cores. Programs with threads (those in
  Go and Rust) may use more than one of them for one end; underpass uses one, OpenSSH one a session.
- Ciphers are each program's first choice here: AES-GCM for all but OpenSSH, which prefers
  ChaCha20-Poly1305, the slower of the two on this kind of processor.
- `ssh -D` is no HTTP and does not pass where a tunnel of this kind is needed. It is measured since
  everybody knows it. Nor is rathole, a reverse tunnel to one service that keeps TCP connections
  ready for the next stream. (It can speak WebSocket, in which bulk stood still when it was tried.)
  Its bulk up has no figure: the origin's reports of what it got come back over the same stream, and
  as long as its application sends, rathole now and then brings nothing back.
- A goal with "no peer measured" is about programs that could not be had (bench/README.md).
- penguin (crate `rusty-penguin`) is chisel's way of working in Rust, by its own account twice as
  fast.
"""

CHAPTER = Chapter(
    "tunnel",
    "Tunnels on a good network",
    FIGURES,
    TABLES,
    GOALS,
    HOW,
    yardsticks=("direct",),
    ours=(US, US_TLS, US_STREAM),
)
