"""What `bench.guard` measures: pairs of ours and a yardstick, in processor time."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from bench import session
from bench.figures import US
from bench.generator import Entry, Load, Origin
from bench.processes import BenchError, Running
from bench.programs.own import Underpass
from bench.programs.proxies import PEERS
from bench.programs.tunnel_program import Place
from underpass.net.memory import keep_freed_memory

# What the yardstick and what ours costs, in processor time for the same work.
Pair = tuple[float, float]
# Figure -> its pairs.
Pairs = dict[str, list[Pair]]

YARDSTICK = "bare relay"
# What each run takes: the clock counts hundredths of a second of processor time.
SECONDS = 0.5
CORE_SECONDS = 0.2
# Processor time below this is too few ticks of that clock to divide by; on a machine that is busy
# with other things a run goes on longer, up to this.
LEAST_SPENT = 0.08
LONGEST_SECONDS = 4.0

LOADS = {
    "bulk": Load("bulk-down", "source", 1, SECONDS, 0.0),
    "ping-pong": Load("pingpong", "echo", 16, SECONDS, 0.0),
    "connect": Load("connects", "echo", 16, SECONDS, 0.0),
}
# Figure -> whose, under which load. A tunnel's open is what a CONNECT is to a proxy.
OVER_SOCKETS = {
    "proxy bulk": ("proxy", "bulk"),
    "proxy ping-pong": ("proxy", "ping-pong"),
    "proxy connect": ("proxy", "connect"),
    "tunnel bulk": ("tunnel", "bulk"),
    "tunnel ping-pong": ("tunnel", "ping-pong"),
    "tunnel open": ("tunnel", "connect"),
}
# Figure -> ours and the yardstick's work a second, for so many seconds of processor time.
Core = Callable[[float], float]
IN_PROCESS: dict[str, tuple[Core, Core]] = {
    "session bulk": (session.bulk, session.raw_bulk),
    "session messages": (session.messages, session.raw_messages),
    "session open": (session.opens, session.raw_opens),
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What stands between generator and origin: where it is entered, and all of its processes."""

    entered: Running
    processes: tuple[Running, ...]
    entry: Entry = "connect"

    def cost(self, origin: Origin, load: Load) -> float:
        """Processor seconds for a byte, or for an exchange. Raises `BenchError`."""
        load = replace(load, entry=self.entry)
        while True:
            before = self._spent()
            result = origin.run(load, self.entered.address)
            spent = self._spent() - before
            done = result.get("bytes") or result.get("exchanges")
            if done and spent >= LEAST_SPENT:
                return spent / float(done)
            if load.seconds >= LONGEST_SECONDS:
                raise BenchError(f"{load.mode} through {self.entered.name}: next to nothing done")
            load = replace(load, seconds=2 * load.seconds)

    def _spent(self) -> float:
        return sum(process.processor_seconds() for process in self.processes)


def measured(names: Sequence[str], count: int) -> Pairs:
    """So many pairs of each figure. Raises `BenchError`."""
    pairs: Pairs = {name: [] for name in names}
    keep_freed_memory()
    for name, (ours, raw) in IN_PROCESS.items():
        if name in pairs:
            pairs[name] += [(1 / raw(CORE_SECONDS), 1 / ours(CORE_SECONDS)) for _ in range(count)]
    over_sockets = [name for name in OVER_SOCKETS if name in pairs]
    if over_sockets:
        with ExitStack() as stack:
            origin = Origin()
            stack.callback(origin.close)
            subjects = _subjects(stack)
            for _ in range(count):
                for name, pair in _one_pair(origin, subjects, over_sockets):
                    pairs[name].append(pair)
    return pairs


def _one_pair(
    origin: Origin, subjects: Mapping[str, Subject], names: Sequence[str]
) -> Iterator[tuple[str, Pair]]:
    """Each figure once; the yardstick once for all that are under the same load."""
    for kind, load in LOADS.items():
        wanted = [name for name in names if OVER_SOCKETS[name][1] == kind]
        yardstick = subjects[YARDSTICK].cost(origin, load) if wanted else 0.0
        for name in wanted:
            subject = subjects[OVER_SOCKETS[name][0]]
            yield name, (yardstick, subject.cost(origin, load))


def _subjects(stack: ExitStack) -> dict[str, Subject]:
    """The yardstick, a proxy and a tunnel, for as long as `stack`."""
    folder = tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)
    place = Place(Path(stack.enter_context(folder)))
    peers = {peer.name: peer for peer in PEERS}
    relay = peers[YARDSTICK].start(place.folder("relay"))
    stack.callback(relay.stop)
    proxy = peers[US].start(place.folder("proxy"))
    stack.callback(proxy.stop)
    tunnel = Underpass(US, "websocket")
    server = tunnel.start_server(place, "")
    stack.callback(server.stop)
    client = tunnel.start_client(place, server.address, "")
    stack.callback(client.stop)
    return {
        YARDSTICK: Subject(relay, (relay,)),
        "proxy": Subject(proxy, (proxy,)),
        "tunnel": Subject(client, (client, server), tunnel.entry),
    }
