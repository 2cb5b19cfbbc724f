"""Programs that a test starts: ended by their own id, their output kept for the report."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

# A start takes a quarter of a second; a loaded machine with two CPUs takes longer.
START_SECONDS = 15.0
END_SECONDS = 10.0

_LISTENING = re.compile(
    r"listening (?:(?:https?|socks5)://(?:[0-9.]+|\[[0-9a-f:]+\]):[0-9]+|unix:.+)"
)

# What the developer's own shell says about proxies must not reach a test.
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment without its proxies and without our own options."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.lower() not in _PROXY_VARIABLES and not name.startswith("UNDERPASS_")
    }
    return {**kept, **more}


def wait_until(holds: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Ask again and again, since another process tells nobody when it gets there."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(0.01)


def free_port() -> int:
    """A port that was free a moment ago, for programs that cannot say which they took."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def running(
    command: Sequence[str | Path], log: Path, **more: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program with both outputs in `log`; end it by its id and show what it said."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=clean_environment(**more),
        )
    try:
        yield process
    finally:
        end(process)
        # Shown by pytest beside a failure, and only there.
        print(f"--- {Path(command[0]).name} {log}\n{tail(log)}")


@contextlib.contextmanager
def serving(command: Sequence[str | Path], log: Path, port: int, **more: str) -> Iterator[None]:
    """Run a server that listens on `port`, from when it accepts."""
    with running(command, log, **more) as process:
        wait_until(lambda: process.poll() is not None or accepts(port), f"{command[0]} accepts")
        assert process.poll() is None, f"{command[0]} ended with {process.returncode}"
        yield


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM twice, and SIGKILL for one that does not listen."""
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS / 4 if number == signal.SIGTERM else END_SECONDS)


def tail(log: Path, size: int = 6000) -> str:
    return log.read_text(errors="replace")[-size:] if log.exists() else ""


@dataclass
class ProxyProcess:
    """`underpass proxy`, or another command that listens, in a process of its own."""

    process: subprocess.Popen[bytes]
    output: Path
    log: Path
    listening: list[str]

    @property
    def url(self) -> str:
        return self.listening[0]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self.port}"

    def lines(self) -> list[str]:
        """What it has written to standard error."""
        return self.log.read_text(errors="replace").splitlines()

    def wait_for_line(self, text: str, count: int = 1, seconds: float = START_SECONDS) -> str:
        """Wait until `count` lines hold `text`; the last of them."""

        def found() -> list[str]:
            return [line for line in self.lines() if text in line]

        wait_until(lambda: len(found()) >= count, f"{text!r} in the log", seconds)
        return found()[-1]

    def metrics_port(self) -> int:
        line = self.wait_for_line("metrics at http://")
        found = re.search(r"metrics at http://127\.0\.0\.1:([0-9]+)", line)
        assert found is not None, line
        return int(found[1])

    def resident(self) -> int:
        """Resident memory in bytes."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGESIZE")

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def underpass(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "underpass", *map(str, arguments)]


@contextlib.contextmanager
def proxy_process(
    folder: Path, *flags: str | Path, within: Sequence[str | Path] = (), **environment: str
) -> Iterator[ProxyProcess]:
    """Start the proxy, wait for its ``listening`` line, and end it by its id.

    `within` is a command that becomes the proxy, such as prlimit.
    """
    if not any(str(flag).startswith(("--listen", "--config")) for flag in flags):
        flags = ("--listen", "127.0.0.1:0", *flags)
    command = [*within, *underpass("proxy", *flags)]
    with listening_process(folder, "proxy", command, **environment) as proxy:
        yield proxy


@contextlib.contextmanager
def listening_process(
    folder: Path, name: str, command: Sequence[str | Path], **environment: str
) -> Iterator[ProxyProcess]:
    """Start a command of ours, wait for its ``listening`` line, and end it by its id.

    What it says goes to files in `folder` that begin with `name`.
    """
    output, log = folder / f"{name}.out", folder / f"{name}.log"
    output.unlink(missing_ok=True)
    with output.open("wb") as out, log.open("ab") as err:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=clean_environment(**environment),
        )
    try:
        yield ProxyProcess(process, output, log, _wait_for_listening(process, output, log))
    finally:
        end(process)
        print(f"--- underpass {name}, standard error:\n{tail(log)}")


def _wait_for_listening(process: subprocess.Popen[bytes], output: Path, log: Path) -> list[str]:
    def said() -> list[str]:
        return [line for line in output.read_text().splitlines() if _LISTENING.fullmatch(line)]

    wait_until(lambda: bool(said()) or process.poll() is not None, "a listening line")
    assert said(), f"it ended with {process.poll()}:\n{tail(log)}"
    return [line.removeprefix("listening ") for line in said()]
