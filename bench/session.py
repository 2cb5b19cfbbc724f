"""Measures the session core alone: two sessions back to back in one process, no sockets.

``python -m bench.session [--seconds S] [--rounds N] [--write]``

With a core that ``make compiled`` has built, both are measured in turn, a process each; else, and
with ``--alone``, the one that Python imports.

Every figure is work of both ends together on one core, in processor time, so that other load on
the machine disturbs it less. Beside each stands what raw `AESGCM` does with the same bytes, seal
and open, and what a rough sketch of a session does (bench/sketch.py), so that another machine can
be compared. What arrives is counted, and must be all.

Each 64-byte message is made into a record of its own, by its own `data_to_send`. The other end
takes them in batches of 16 records, as one read of a socket brings them. The process keeps freed
memory, as the proxy does.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench import sketch
from underpass.net.memory import keep_freed_memory
from underpass.protocol import session
from underpass.protocol.frames import MAX_DATA_BYTES
from underpass.protocol.handshake import SessionKeys
from underpass.protocol.session import Session
from underpass.protocol.session_events import StreamReadable
from underpass.protocol.session_terms import SessionTerms
from underpass.protocol.stream_table import StreamLimits

RESULTS = Path(__file__).parent / "results" / "session.json"
# Where `make compiled` puts it.
COMPILED = Path(__file__).parents[1] / "build" / "compiled"
# A measurement of one round, with its start; far more than it takes.
ROUND_SECONDS = 300

# What a carrier has room for when it asks: a socket's buffer.
ROOM = 256 * 1024
# Simulated time that passes a step: acknowledgements come as they would at full speed.
STEP = 1e-5
MESSAGE = bytes(64)
# Messages, each in a record, that one read of a socket brings.
BATCH = 16
IDLE_STREAMS = 2000


@dataclass(frozen=True)
class Figure:
    """One measurement: what was reached, and what is to be held.

    Of a rate also the same for raw AESGCM and for the sketch, and what part of a sketch's figure
    was to be held where the goals were set.
    """

    name: str
    unit: str
    value: float
    hold: float
    raw: float | None = None
    sketch: float | None = None
    share: float | None = None

    @property
    def is_held(self) -> bool:
        """Whether the figure is as good as it must be; memory is to be below, the rest above."""
        return self.value <= self.hold if self.raw is None else self.value >= self.hold


class Pair:
    """A client and a server session, with one carrier between them that loses nothing."""

    def __init__(self, limits: StreamLimits | None = None) -> None:
        limits = limits or StreamLimits()
        terms = SessionTerms(b"m" + os.urandom(16), own=limits, other=limits)
        keys = [os.urandom(32) for _ in range(3)]
        self.now = 0.0
        self.client = Session(SessionKeys(*keys), terms, 0.0, is_client=True)
        turned = SessionKeys(keys[1], keys[0], keys[2])
        self.server = Session(turned, terms, 0.0, is_client=False)
        self.client.begin(0.0)
        self.server.begin(0.0)

    def up(self) -> None:
        """Bring what the client has to send to the server."""
        for record in self.client.data_to_send(0, ROOM, self.now):
            self.server.receive_data(0, record, self.now)

    def down(self) -> None:
        """Bring what the server has to send to the client."""
        for record in self.server.data_to_send(0, ROOM, self.now):
            self.client.receive_data(0, record, self.now)

    def read_all(self, stream: int) -> int:
        """How many bytes the server's application reads of what its events tell of."""
        size = 0
        for event in self.server.events():
            if isinstance(event, StreamReadable):
                while data := self.server.streams.read(stream, MAX_DATA_BYTES, self.now):
                    size += len(data)
        return size

    def open(self) -> int:
        """A stream that both ends have accepted."""
        stream = self.client.streams.open("example.com", 443)
        self.up()
        self.server.streams.accept(stream)
        self.down()
        self.client.events()
        self.server.events()
        return stream


def bulk(seconds: float) -> float:
    """GB/s of stream bytes, client to server, in records of 64 KiB."""
    pair = Pair()
    stream = pair.open()
    data = os.urandom(MAX_DATA_BYTES)
    send = pair.client.streams.send
    moved = 0
    started = time.process_time()
    while (took := time.process_time() - started) < seconds:
        for _ in range(64):
            pair.now += STEP
            send(stream, data)
            pair.up()
            moved += pair.read_all(stream)
            pair.down()
    return moved / took / 1e9


def raw_bulk(seconds: float) -> float:
    """The same bytes through AESGCM alone."""
    aead = AESGCM(os.urandom(32))
    nonce, data = bytes(12), os.urandom(MAX_DATA_BYTES)
    moved = 0
    started = time.process_time()
    while (took := time.process_time() - started) < seconds:
        for _ in range(64):
            aead.decrypt(nonce, aead.encrypt(nonce, data, None), None)
        moved += 64 * len(data)
    return moved / took / 1e9


def messages(seconds: float) -> float:
    """64-byte messages a second one way, each in a record of its own."""
    pair = Pair()
    stream = pair.open()
    send, data_to_send = pair.client.streams.send, pair.client.data_to_send
    sent = received = 0
    started = time.process_time()
    while (took := time.process_time() - started) < seconds:
        for _ in range(16):
            records = []
            for _ in range(BATCH):
                pair.now += STEP
                send(stream, MESSAGE)
                records += data_to_send(0, ROOM, pair.now)
            sent += len(records)
            pair.server.receive_data(0, b"".join(records), pair.now)
            received += pair.read_all(stream)
            pair.down()
    if sent * len(MESSAGE) != received:
        raise AssertionError("a message that was no record of its own, or did not arrive")
    return sent / took


def raw_messages(seconds: float) -> float:
    """The same messages through AESGCM alone."""
    aead = AESGCM(os.urandom(32))
    nonce, count = bytes(12), 0
    started = time.process_time()
    while (took := time.process_time() - started) < seconds:
        for _ in range(256):
            aead.decrypt(nonce, aead.encrypt(nonce, MESSAGE, None), None)
        count += 256
    return count / took


def opens(seconds: float) -> float:
    """Streams a second that are opened, echo 64 bytes and are closed by both ends."""
    pair = Pair()
    client, server = pair.client.streams, pair.server.streams
    count = 0
    started = time.process_time()
    while (took := time.process_time() - started) < seconds:
        for _ in range(64):
            pair.now += STEP
            stream = client.open("example.com", 443)
            client.send(stream, MESSAGE)
            client.finish(stream)
            pair.up()
            pair.server.events()
            server.accept(stream)
            server.send(stream, bytes(server.read(stream, MAX_DATA_BYTES, pair.now) or b""))
            server.read(stream, MAX_DATA_BYTES, pair.now)
            server.finish(stream)
            pair.down()
            pair.client.events()
            if len(client.read(stream, MAX_DATA_BYTES, pair.now) or b"") == len(MESSAGE):
                count += 1
            client.read(stream, MAX_DATA_BYTES, pair.now)
    return count / took


def raw_opens(seconds: float) -> float:
    """Two records of the size of an open and its answer, through AESGCM alone."""
    return raw_messages(seconds) / 2


def session_memory() -> float:
    """KiB of one idle session, averaged over pairs of them."""
    gc.collect()
    tracemalloc.start()
    pairs = [Pair() for _ in range(50)]
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return size / len(pairs) / 2 / 1024


def stream_memory() -> float:
    """KiB of one idle stream at one end, over which a message has gone each way."""
    pair = Pair(StreamLimits(streams=IDLE_STREAMS + 1))
    gc.collect()
    tracemalloc.start()
    for _ in range(IDLE_STREAMS):
        stream = pair.open()
        pair.client.streams.send(stream, MESSAGE)
        pair.up()
        pair.server.streams.read(stream, MAX_DATA_BYTES, pair.now)
        pair.server.streams.send(stream, MESSAGE)
        pair.down()
        pair.client.streams.read(stream, MAX_DATA_BYTES, pair.now)
        pair.client.events()
        pair.server.events()
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return size / IDLE_STREAMS / 2 / 1024


Rate: TypeAlias = Callable[[float], float]

# name, unit, what measures it, raw AESGCM and the sketch, what is to be held, and what the sketch
# did on the machine where that was set
_RATES: list[tuple[str, str, tuple[Rate, Rate, Rate], float, float]] = [
    ("bulk, 64 KiB records", "GB/s", (bulk, raw_bulk, sketch.bulk), 2.0, 3.9),
    ("64-byte messages", "/s", (messages, raw_messages, sketch.messages), 150_000, 390_000),
    ("open, echo, close", "/s", (opens, raw_opens, sketch.opens), 30_000, 83_000),
]
_MEMORY: list[tuple[str, str, Callable[[], float], float]] = [
    ("an idle stream", "KiB", stream_memory, 3.0),
    ("an idle session", "KiB", session_memory, 64.0),
]


def measure_both(seconds: float, rounds: int) -> dict[str, list[Figure]]:
    """All figures of the pure and of the compiled core: medians of `rounds`, in turn."""
    source = Path(__file__).parents[1] / "src"
    folders = {"pure": source, "compiled": COMPILED}
    found: dict[str, list[list[Figure]]] = {core: [] for core in folders}
    for _ in range(rounds):
        for core, folder in folders.items():
            done = subprocess.run(
                [sys.executable, "-m", "bench.session", "--json", f"--seconds={seconds}"],
                env=os.environ | {"PYTHONPATH": str(folder)},
                stdout=subprocess.PIPE,
                check=True,
                timeout=ROUND_SECONDS,
            )
            found[core].append([Figure(**figure) for figure in json.loads(done.stdout)])
    return {
        core: [_median(figures) for figures in zip(*rows, strict=True)]
        for core, rows in found.items()
    }


def _median(figures: tuple[Figure, ...]) -> Figure:
    value = statistics.median(figure.value for figure in figures)
    raws = [figure.raw for figure in figures if figure.raw is not None]
    sketches = [figure.sketch for figure in figures if figure.sketch is not None]
    if not raws:
        return replace(figures[0], value=value)
    raw, rough = statistics.median(raws), statistics.median(sketches)
    return replace(figures[0], value=value, raw=raw, sketch=rough)


def measure(seconds: float, rounds: int) -> list[Figure]:
    """All figures; rates are medians of `rounds`, ours, raw and the sketch in turn."""
    figures = []
    for name, unit, rates, hold, sketched in _RATES:
        found = [[rate(seconds) for rate in rates] for _ in range(rounds)]
        value, raw, rough = map(statistics.median, zip(*found, strict=True))
        figures.append(Figure(name, unit, value, hold, raw, rough, hold / sketched))
    for name, unit, memory, hold in _MEMORY:
        figures.append(Figure(name, unit, memory(), hold))
    return figures


def line(figure: Figure) -> str:
    """One figure for people."""
    verdict = "held" if figure.is_held else "NOT HELD"
    value = f"{figure.value:12,.2f} {figure.unit:5}"
    if figure.raw is None or figure.sketch is None or figure.share is None:
        return f"{figure.name:22} {value} at most {figure.hold:g}: {verdict}"
    return (
        f"{figure.name:22} {value} at least {figure.hold:,g}: {verdict}"
        f"  ({figure.value / figure.raw:.2f} of raw AESGCM's {figure.raw:,.2f};"
        f" {figure.value / figure.sketch:.2f} of a sketch's {figure.sketch:,.2f},"
        f" the goal is {figure.share:.2f})"
    )


def main() -> None:
    """Measure, print, and with ``--write`` keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=1.0, help="processor time a measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    parser.add_argument("--alone", action="store_true", help="only the core that is imported")
    parser.add_argument("--json", action="store_true", help="one round of it, for programs")
    arguments = parser.parse_args()
    keep_freed_memory()
    if arguments.json:
        print(json.dumps([vars(figure) for figure in measure(arguments.seconds, 1)]))
        return
    if COMPILED.is_dir() and not arguments.alone:
        cores = measure_both(arguments.seconds, arguments.rounds)
    else:
        cores = {_core(): measure(arguments.seconds, arguments.rounds)}
    for core, figures in cores.items():
        print(f"{core}:", *map(line, figures), sep="\n  ")
    if arguments.write:
        _write(cores, arguments.seconds, arguments.rounds)


def _core() -> str:
    """Which core Python has imported."""
    return "pure" if str(session.__file__).endswith(".py") else "compiled"


def _write(cores: dict[str, list[Figure]], seconds: float, rounds: int) -> None:
    about = {
        "python": platform.python_version(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.release()}",
        "rounds": rounds,
        "seconds": seconds,
    }
    rows = {
        core: [vars(figure) | {"held": figure.is_held} for figure in figures]
        for core, figures in cores.items()
    }
    RESULTS.write_text(json.dumps({"about": about, "cores": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
