"""The two ends of a tunnel, started for one round and used by all its measurements."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.boxes import Box
from bench.generator import Entry, Origin
from bench.processes import BenchError, NeverUpError, Running
from bench.programs.tunnel_program import Place, TunnelProgram


@dataclass(frozen=True, slots=True)
class Pair:
    """A started tunnel: its ends, and the box between them if there is one."""

    server: Running
    client: Running
    entry: Entry
    box: Running | None = None

    def alive(self) -> bool:
        """Whether both ends still run."""
        return self.server.alive() and self.client.alive()

    def processor_seconds(self) -> float:
        """Of both ends together, so far."""
        return self.server.processor_seconds() + self.client.processor_seconds()

    def stop(self) -> None:
        """End everything."""
        for running in filter(None, (self.client, self.box, self.server)):
            running.stop()


def start_pair(program: TunnelProgram, origin: str, box: Box | None = None) -> Iterator[Pair]:
    """Start both ends in a folder of their own. Raises `BenchError`; ends all in any case."""
    with ExitStack() as stack:
        directory = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)
        )
        place = Place(Path(directory))
        server = _started(lambda: program.start_server(place, origin))
        stack.callback(server.stop)
        between = box.start(place, server.address) if box else None
        if between:
            stack.callback(between.stop)
        where = (between or server).address
        client = _started(lambda: program.start_client(place, where, origin))
        stack.callback(client.stop)
        yield Pair(server, client, program.entry, between)


def _started(start: Callable[[], Running]) -> Running:
    """Start an end, once more if it ends at once: a port free a moment ago may be taken."""
    try:
        return start()
    except NeverUpError:
        raise
    except BenchError:
        return start()


running_pair = contextmanager(start_pair)


def destination(origin: Origin, service: str) -> str:
    """Where a forwarded port is to lead for one of the origin's services."""
    return f"127.0.0.1:{origin.ports[service][0]}"


@dataclass(slots=True)
class Pairs:
    """The tunnels of one round: started when first needed, then kept.

    A program whose entry is a forwarded port has a pair for each service of the origin.
    """

    origin: Origin
    _stack: ExitStack = field(default_factory=ExitStack)
    _running: dict[tuple[str, str, str], Pair] = field(default_factory=dict)

    def take(self, program: TunnelProgram, service: str, box: Box | None = None) -> Pair:
        """The program's pair, started anew if an end of it ended. Raises `BenchError`."""
        leads = service if program.entry == "forward" else ""
        key = (program.name, leads, box.name if box else "")
        pair = self._running.get(key)
        if pair is None or not pair.alive():
            where = destination(self.origin, service)
            pair = self._stack.enter_context(running_pair(program, where, box))
            self._running[key] = pair
        return pair

    def drop(self, pair: Pair) -> None:
        """End a pair; the next to need it starts another."""
        pair.stop()

    def stop(self) -> None:
        """End every process and remove every folder."""
        self._running.clear()
        self._stack.close()
