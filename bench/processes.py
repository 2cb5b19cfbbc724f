"""What the kernel knows of a process and all its children: processor seconds and memory (Linux)."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
STOP_TIMEOUT = 5.0
# 5,000 tunnels are 10,000 descriptors in the proxy; the rest is for what else it has open.
FILE_LIMIT = 12_000


class BenchError(Exception):
    """A program of the bench failed; the message says which and how."""


class StalledError(BenchError):
    """Nothing was wrong, but what was waited for did not come in time."""


class NeverUpError(StalledError):
    """A program runs, but did not become ready."""


@dataclass(frozen=True, slots=True)
class Running:
    """A started proxy: where it listens and its first process."""

    name: str
    address: str
    process: subprocess.Popen[str]

    def alive(self) -> bool:
        """Whether its first process still runs."""
        return self.process.poll() is None

    def stop(self) -> None:
        """End it and every process it started: its own group, and who left that, as sshd's do."""
        if self.alive():
            elsewhere = [pid for pid in family(self.process.pid) if _left(pid, self.process.pid)]
            os.killpg(self.process.pid, signal.SIGTERM)
            for pid in elsewhere:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_TIMEOUT)
            # The first may end, or not, before those it started.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for end in filter(None, (self.process.stdin, self.process.stdout)):
            # What it was never told is in its buffer.
            with contextlib.suppress(BrokenPipeError):
                end.close()

    def processor_seconds(self) -> float:
        """User and system time of the whole family so far."""
        return sum(processor_seconds(pid) for pid in family(self.process.pid))

    def memory(self) -> int:
        """Bytes of memory the whole family holds (PSS: shared pages counted once)."""
        return sum(memory(pid) for pid in family(self.process.pid))


def end_by_input(process: subprocess.Popen[str], seconds: float) -> None:
    """End a process that serves until its standard input ends; kill it if it goes on."""
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def family(pid: int) -> list[int]:
    """`pid` and everything it started, directly or not."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(c) for task in tasks for c in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [pid, *(member for child in children for member in family(child))]


def _left(pid: int, group: int) -> bool:
    """Whether a process runs, and in another group."""
    try:
        return os.getpgid(pid) != group
    except ProcessLookupError:
        return False


def processor_seconds(pid: int) -> float:
    """User and system time of one process, all its threads, and of its children that are gone.

    Some programs have a process for each stream, whose time would be lost with it. 0 when it is
    gone itself.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(field) for field in fields[11:15]) / TICKS_PER_SECOND


def memory(pid: int) -> int:
    """PSS of one process in bytes, or RSS where the kernel keeps PSS from us; 0 when gone."""
    for file, field in (("smaps_rollup", "Pss"), ("status", "VmRSS")):
        try:
            text = Path(f"/proc/{pid}/{file}").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return 0
        except PermissionError:
            continue
        if found := re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE):
            return int(found[1]) * 1024
    return 0


def free_port() -> int:
    """A loopback port nobody listens on now, for programs that cannot choose one themselves."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def end_in_order() -> None:
    """Make SIGTERM end this process as Ctrl-C does, so that what it started is ended too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def raise_file_limit() -> int:
    """Let this process and what it starts open `FILE_LIMIT` files; return what was granted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILE_LIMIT if hard == resource.RLIM_INFINITY else min(FILE_LIMIT, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return FILE_LIMIT
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
