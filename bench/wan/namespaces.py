"""Two network namespaces with the emulator between them, made for one measurement and removed.

A fresh pair for each, so that nothing a kernel remembers of a line (round-trip times, thresholds)
helps or hurts the program that comes next. Needs root (CAP_NET_ADMIN), /dev/net/tun and iproute2.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.generator import compiled
from bench.processes import STOP_TIMEOUT, BenchError, end_by_input
from bench.wan.line import USUAL_CONGESTION, Way

# Of the namespaces alone; nothing leads out of them.
CLIENT_ADDRESS = "10.77.0.1"
SERVER_ADDRESS = "10.77.0.2"
NETWORK = "10.77.0.0/30"
DEVICE = "wan0"
# The way into the emulator must not be the narrow one: 200 Mbit/s for a quarter of a second.
DEVICE_PACKETS = 4000
SYSCTL = Path("/proc/sys/net/ipv4")

PREFIX = "wan"

Counters = dict[str, dict[str, float]]
_serial = itertools.count(1)


def unavailable() -> str | None:
    """Why no network can be made here; None where one can."""
    if shutil.which("ip") is None:
        return "ip is not here (the Debian package iproute2; python -m bench.peers install)"
    if not Path("/dev/net/tun").exists():
        return "/dev/net/tun is not here"
    name = f"{PREFIX}-{os.getpid()}-probe"
    made = _ip("netns", "add", name)
    if made.returncode:
        return f"no network namespace can be made: {made.stderr.strip()}"
    _ip("netns", "delete", name)
    return None


def sweep() -> list[str]:
    """Remove what runs that were killed have left behind; the names of what is gone now."""
    names = [line.split()[0] for line in _ip("netns", "list").stdout.splitlines() if line]
    stale = [name for name in names if (owner := owner_of(name)) and not _runs(owner)]
    for name in stale:
        _ip("netns", "delete", name)
    return stale


def owner_of(name: str) -> int | None:
    """The process that made a namespace of ours; None for one that is not ours."""
    found = re.fullmatch(rf"{PREFIX}-(\d+)-\w+", name)
    return int(found[1]) if found else None


def _runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _ip(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=False, timeout=20)


def _must(*words: str) -> None:
    done = _ip(*words)
    if done.returncode:
        raise BenchError(f"ip {' '.join(words)}: {done.stderr.strip()}")


@dataclass(frozen=True, slots=True)
class Network:
    """A pair of namespaces and the emulator between them."""

    client: str
    server: str
    emulator: subprocess.Popen[str]

    @property
    def client_prefix(self) -> tuple[str, ...]:
        """What a command begins with to run at the client's end."""
        return ("ip", "netns", "exec", self.client)

    @property
    def server_prefix(self) -> tuple[str, ...]:
        """What a command begins with to run at the server's end."""
        return ("ip", "netns", "exec", self.server)

    def say(self, line: str) -> None:
        """Give the emulator a word."""
        assert self.emulator.stdin is not None
        self.emulator.stdin.write(line + "\n")
        self.emulator.stdin.flush()

    def cut(self, seconds: float) -> None:
        """Drop everything, both ways, for so long from now."""
        self.say(f"cut {seconds * 1000:.0f}")

    def reset_streams(self) -> None:
        """End every TCP stream across the line by a RST from the server's end, as a firewall does.

        Not at both: what a client opens anew at once would meet the second.
        """
        command = [*self.server_prefix, "ss", "-K", "dst", CLIENT_ADDRESS]
        subprocess.run(command, capture_output=True, check=False, timeout=20)

    def counters(self) -> Counters:
        """What has gone either way so far."""
        self.say("stats")
        return self._read()

    def _read(self) -> Counters:
        assert self.emulator.stdout is not None
        line = self.emulator.stdout.readline()
        said: dict[str, Any] = json.loads(line or '{"error": "the emulator died"}')
        if "error" in said:
            raise BenchError(f"emulator: {said['error']}")
        return said


@contextlib.contextmanager
def network(
    up: Way, down: Way, seed: int = 1, congestion: str = USUAL_CONGESTION
) -> Iterator[Network]:
    """Make a network; remove it in every case. Raises `BenchError`."""
    stem = f"{PREFIX}-{os.getpid()}-{next(_serial)}"
    client, server = f"{stem}c", f"{stem}s"
    with contextlib.ExitStack() as stack:
        for name in (client, server):
            _must("netns", "add", name)
            stack.callback(_ip, "netns", "delete", name)
        made = stack.enter_context(_emulator(client, server, (up, down), seed))
        _set_up(client, CLIENT_ADDRESS, congestion)
        _set_up(server, SERVER_ADDRESS, congestion)
        yield made


@contextlib.contextmanager
def _emulator(client: str, server: str, ways: tuple[Way, Way], seed: int) -> Iterator[Network]:
    # fmt: off
    command = [
        str(compiled("wan/emulator")), "--client", client, "--server", server, "--device", DEVICE,
        "--seed", str(seed), "--up", ways[0].text(), "--down", ways[1].text(),
    ]
    # fmt: on
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    made = Network(client, server, process)
    try:
        made._read()
        yield made
    finally:
        end_by_input(process, STOP_TIMEOUT)


def _set_up(namespace: str, address: str, congestion: str) -> None:
    # The route says how TCP sends over it: a namespace's own default may only be one that plain
    # users are allowed. A program that sets another for its own sockets has that.
    for words in (
        ("link", "set", "lo", "up"),
        # Else the kernel asks for IPv6 routers, at times of its own: packets that count.
        ("link", "set", DEVICE, "addrgenmode", "none"),
        ("addr", "add", f"{address}/30", "noprefixroute", "dev", DEVICE),
        ("link", "set", DEVICE, "txqueuelen", str(DEVICE_PACKETS), "up"),
        ("route", "add", NETWORK, "dev", DEVICE, "src", address, "congctl", congestion),
    ):
        _must("-n", namespace, *words)


def tcp_settings() -> dict[str, str]:
    """What of this kernel's TCP the figures depend on."""
    names = ("tcp_available_congestion_control", "tcp_congestion_control", "tcp_rmem", "tcp_wmem")
    return {name: " ".join((SYSCTL / name).read_text().split()) for name in names}


def run_in(prefix: Sequence[str], command: Sequence[str], seconds: float) -> str:
    """Run a command to its end; its standard output. Raises `BenchError`."""
    try:
        done = subprocess.run(
            [*prefix, *command], capture_output=True, text=True, check=False, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        raise BenchError(f"{command[0]} took longer than {seconds:g} s") from None
    if done.returncode:
        last = (done.stderr or done.stdout).strip().rpartition("\n")[2]
        raise BenchError(f"{command[0]}: {last[-300:]}")
    return done.stdout
