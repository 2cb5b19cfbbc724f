"""Starting a program, and telling when it serves."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.processes import BenchError, NeverUpError, Running, free_port

# The slowest peer needs two seconds to start on a busy machine.
START_TIMEOUT = 20.0
LISTEN = "0A"
# Between two looks at what a process does.
LOOK = 0.02


def split(address: str) -> tuple[str, int]:
    """HOST:PORT in two."""
    host, _, port = address.rpartition(":")
    return host, int(port)


def listening_ports(table: str) -> set[int]:
    """The ports that are listened on, of a table as in /proc/net/tcp."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if len(row) > 3 and row[3] == LISTEN}


def listens(pid: int, port: int) -> bool:
    """Whether somebody in the network namespace of `pid` listens on `port`.

    Asked of the kernel, for some programs serve a single stream, and one opened only to see would
    be it.
    """
    try:
        tables = [Path(f"/proc/{pid}/net/{name}").read_text() for name in ("tcp", "tcp6")]
    except OSError:
        return False
    return any(port in listening_ports(table) for table in tables)


@dataclass(frozen=True, slots=True)
class Launch:
    """A command to start: `name` for messages, `directory` its own, for its log too.

    `environment` is added to ours.
    """

    name: str
    directory: Path
    command: Sequence[str]
    prefix: tuple[str, ...] = ()
    environment: Mapping[str, str] | None = None

    @property
    def log(self) -> Path:
        """Where its standard output and error go."""
        return self.directory / "log"

    def start(self) -> subprocess.Popen[str]:
        """Start it, in a process group of its own."""
        with self.log.open("w") as log:
            try:
                return subprocess.Popen(
                    [*self.prefix, *self.command],
                    cwd=self.directory,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    text=True,
                    start_new_session=True,
                    env={**os.environ, "HOME": str(self.directory), **(self.environment or {})},
                )
            except OSError as error:
                raise BenchError(f"{self.name} could not be started: {error}") from None

    def start_listening(self, address: str) -> Running:
        """Start it and wait until it listens at `address`. Raises `BenchError`."""
        running = Running(self.name, address, self.start())
        port = split(address)[1]
        for _ in self._looks(running):
            if listens(running.process.pid, port):
                return running
        raise self._failure(running, f"nothing listens at {address}")

    def start_saying(self, pattern: str, also: str = "") -> Running:
        """Start it and wait until it has said `pattern`, whose group is its address, and `also`.

        Raises `BenchError`.
        """
        running = Running(self.name, "", self.start())
        for _ in self._looks(running):
            said = self.log.read_text()
            found = re.search(pattern, said)
            if found and re.search(also, said):
                return Running(self.name, found[1], running.process)
        raise self._failure(running, f"it did not say {also or pattern!r}")

    def _looks(self, running: Running) -> Iterator[None]:
        deadline = time.monotonic() + START_TIMEOUT
        while running.alive() and time.monotonic() < deadline:
            yield
            time.sleep(LOOK)

    def _failure(self, running: Running, reason: str) -> BenchError:
        kind: type[BenchError] = NeverUpError
        if not running.alive():
            kind, reason = BenchError, f"it ended with {running.process.poll()}"
        running.stop()
        last = self.log.read_text().strip().rpartition("\n")[2]
        return kind(f"{self.name} did not start: {reason}; its last words: {last[-200:]}")


def new_address(host: str) -> str:
    """HOST:PORT for a program that can't choose a port itself."""
    return f"{host}:{free_port()}"


def run(command: Sequence[str], directory: Path, stdin: str = "", **environment: str) -> str:
    """Run a command to its end; what it printed. Raises `BenchError`."""
    try:
        done = subprocess.run(
            list(command),
            cwd=directory,
            input=stdin,
            capture_output=True,
            text=True,
            env={**os.environ, "HOME": str(directory), **environment},
            timeout=START_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"{command[0]}: {error}") from None
    if done.returncode:
        raise BenchError(f"{command[0]} ended with {done.returncode}: {done.stderr[-200:]}")
    return done.stdout
