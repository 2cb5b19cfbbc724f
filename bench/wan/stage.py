"""One program on one line: the network, both its ends, the origin behind, traffic before."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.processes import STOP_TIMEOUT, BenchError, Running, end_by_input
from bench.programs.tunnel_program import Place, TunnelProgram
from bench.wan.line import USUAL_CONGESTION, Line
from bench.wan.load import Load
from bench.wan.namespaces import SERVER_ADDRESS, Network, network, run_in
from bench.wan.origin import PORTS

ROOT = Path(__file__).parent.parent.parent
# What a run of traffic may take beyond its own seconds.
SPARE_SECONDS = 60.0
# A program without its own choice of an address goes there.
FORWARDED = f"127.0.0.1:{PORTS[0]}"


@dataclass(frozen=True, slots=True)
class Stage:
    """See the module. Without a program the traffic goes straight over the line."""

    network: Network
    program: TunnelProgram | None
    client: Running | None

    def command(self, load: Load) -> list[str]:
        """The traffic's command line, at the client's end."""
        entry = self.program.entry if self.program else "direct"
        address = self.client.address if self.client else ""
        # fmt: off
        return [
            sys.executable, "-m", "bench.wan.traffic", load.kind, "--entry", entry,
            "--address", address, "--seconds", str(load.seconds), "--warmup", str(load.warmup),
            "--count", str(load.count),
        ]
        # fmt: on

    def run(self, load: Load) -> dict[str, Any]:
        """Run traffic to its end; its figures. Raises `BenchError`."""
        seconds = load.seconds + load.warmup + SPARE_SECONDS
        text = run_in(self.network.client_prefix, self.command(load), seconds)
        figures: dict[str, Any] = json.loads(text)
        return figures

    @contextlib.contextmanager
    def running(self, load: Load) -> Iterator[subprocess.Popen[str]]:
        """Traffic that runs meanwhile; its figures stand on its standard output."""
        process = subprocess.Popen(
            [*self.network.client_prefix, *self.command(load)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


@contextlib.contextmanager
def stage(
    line: Line, program: TunnelProgram | None, congestion: str = USUAL_CONGESTION, seed: int = 1
) -> Iterator[Stage]:
    """Set everything up; remove it in every case. Raises `BenchError`."""
    with contextlib.ExitStack() as stack:
        made = stack.enter_context(network(line.way(), line.way(), seed, congestion))
        stack.enter_context(_origin(made))
        if program is None:
            yield Stage(made, None, None)
            return
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="underpass-wan-"))
        place = Place(Path(folder), SERVER_ADDRESS, made.client_prefix, made.server_prefix)
        server = program.start_server(place, FORWARDED)
        stack.callback(server.stop)
        client = program.start_client(place, server.address, FORWARDED)
        stack.callback(client.stop)
        yield Stage(made, program, client)


@contextlib.contextmanager
def _origin(made: Network) -> Iterator[None]:
    process = subprocess.Popen(
        [*made.server_prefix, sys.executable, "-m", "bench.wan.origin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            raise BenchError("the origin did not start")
        yield
    finally:
        end_by_input(process, STOP_TIMEOUT)
