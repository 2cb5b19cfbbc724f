"""The load generator and its origin: compiled at need, started, spoken to."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.processes import STOP_TIMEOUT, BenchError, StalledError, end_by_input

HERE = Path(__file__).parent
BINARIES = HERE / "bin"
DIRECT = "direct"
# Longer than any run: the generator ends itself before (60 s to open, then what was asked).
RUN_TIMEOUT = 200.0

Result = dict[str, Any]
Entry = Literal["connect", "socks5", "forward"]


def compiled(name: str) -> Path:
    """The program `name`, compiled anew when its source is younger. Raises `BenchError`."""
    source, binary = HERE / f"{name}.c", BINARIES / Path(name).name
    newest = max(file.stat().st_mtime for file in (source, *HERE.glob("*.h")))
    if not binary.exists() or binary.stat().st_mtime < newest:
        BINARIES.mkdir(exist_ok=True)
        # Put in place when it is whole: another thread may want the same program at this moment.
        with tempfile.TemporaryDirectory(dir=BINARIES) as folder:
            made = Path(folder) / binary.name
            command = ["cc", "-O2", "-Wall", "-Wextra", "-o", str(made), str(source)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise BenchError(f"cc could not compile {source.name}: {done.stderr[-800:]}")
            made.replace(binary)
    return binary


@dataclass(frozen=True, slots=True)
class Load:
    """One run to make: `origin` is which of the origin's services it needs.

    `patience`: how long what is under way at the end of `seconds` may still take. `entry`: how it
    comes in at the program, by CONNECT, SOCKS5 or a forwarded port. `setup`: how long opening a
    fixed set of tunnels may take.
    """

    mode: str
    origin: str
    tunnels: int = 1
    seconds: float = 2.0
    warmup: float = 0.3
    patience: float = 3.0
    entry: Entry = "connect"
    setup: float = 60.0


class Origin:
    """The started origin and its ports.

    `buffer`: bytes that the kernel keeps at most of each stream on its way out; 0: as it likes.
    """

    def __init__(self, buffer: int = 0) -> None:
        command = [str(compiled("origin")), *([str(buffer)] if buffer else [])]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.ports: dict[str, list[int]] = json.loads(self.process.stdout.readline())
        self.generator = str(compiled("loadgen"))

    def close(self) -> None:
        """End it."""
        end_by_input(self.process, STOP_TIMEOUT)

    def command(self, load: Load, proxy: str) -> list[str]:
        """The generator's command line for one run through `proxy` (`HOST:PORT` or `direct`)."""
        ports = ",".join(str(port) for port in self.ports[load.origin])
        # fmt: off
        return [
            self.generator, load.mode, "--proxy", proxy, "--origin", f"127.0.0.1:{ports}",
            "--tunnels", str(load.tunnels), "--seconds", str(load.seconds),
            "--warmup", str(load.warmup), "--patience", str(load.patience),
            "--entry", load.entry, "--setup", str(load.setup),
        ]
        # fmt: on

    def run(self, load: Load, proxy: str) -> Result:
        """Run to the end. Raises `BenchError` with the generator's reason, `StalledError` if it
        waited in vain.
        """
        with self.held(load, proxy) as result:
            return result

    @contextmanager
    def held(self, load: Load, proxy: str) -> Iterator[Result]:
        """The result as soon as it is there; `idle` and `stall` hold their tunnels until left."""
        with subprocess.Popen(
            self.command(load, proxy), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            try:
                result: Result = json.loads(line or '{"error": "the generator died"}')
                if reason := result.get("error"):
                    raise BenchError(reason)
                if reason := result.get("stalled"):
                    raise StalledError(reason)
                yield result
            finally:
                end_by_input(process, RUN_TIMEOUT)
