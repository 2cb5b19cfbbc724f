"""The proxies of scenario 1: how each is found, configured and started.

Like for like: one process or worker, no cache, no access log, any port of loopback allowed, each
with its own temporary directory. What a peer does by default beyond that is left as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.figures import US, US_TWICE
from bench.generator import Entry
from bench.processes import FILE_LIMIT, Running, free_port
from bench.programs.launch import Launch
from bench.programs.versions import (
    PEERS_PYTHON,
    ROOT,
    first_match,
    package_version,
    system_program,
)

SQUID = """\
http_port 127.0.0.1:{port}
http_access allow all
workers 1
cache deny all
access_log none
cache_log {directory}/cache.log
cache_store_log none
pid_filename none
coredump_dir {directory}
visible_hostname bench
pinger_enable off
netdb_filename none
shutdown_lifetime 0 seconds
max_filedescriptors {files}
"""

TINYPROXY = """\
Listen 127.0.0.1
Port {port}
Allow 127.0.0.0/8
MaxClients {files}
Timeout 600
LogLevel Critical
LogFile "{directory}/tinyproxy.log"
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """One proxy: `command(directory, port)` writes its configuration and says how to start it.

    `prints_address`: it takes port 0 and prints `listening http://HOST:PORT`. `only`: the
    measurements that say something of it; every one if there is none.
    """

    name: str
    remark: str
    version: Callable[[], str | None]
    command: Callable[[Path, int], list[str]]
    prints_address: bool = False
    forwards: bool = True
    only: tuple[str, ...] = ()
    entry: Entry = "connect"

    def start(self, directory: Path) -> Running:
        """Start it in `directory` (its own, empty); raises `BenchError`."""
        if self.prints_address:
            launch = Launch(self.name, directory, self.command(directory, 0))
            return launch.start_saying(r"listening http://(\S+:\d+)")
        port = free_port()
        launch = Launch(self.name, directory, self.command(directory, port))
        return launch.start_listening(f"127.0.0.1:{port}")


def _bare_version() -> str | None:
    version = package_version(Path(sys.executable), "uvloop")
    return f"on uvloop {version}" if version else None


def _microsocks_version() -> str | None:
    # It cannot be asked itself.
    query = ["dpkg-query", "--show", "--showformat", "version ${Version}", "microsocks"]
    return first_match(query, r"version (\S+)")


def _underpass_version() -> str | None:
    command = Path(sys.executable).parent / "underpass"
    return package_version(Path(sys.executable), "underpass") if command.exists() else None


def _underpass(_: Path, port: int) -> list[str]:
    command = str(Path(sys.executable).parent / "underpass")
    return [command, "proxy", "--listen", f"127.0.0.1:{port}", "--allow", "127.0.0.0/8"]


def _underpass_twice(directory: Path, port: int) -> list[str]:
    return [*_underpass(directory, port), "--workers", "2"]


def _bare(_: Path, __: int) -> list[str]:
    return [sys.executable, str(ROOT / "bench" / "bare_relay.py")]


def _squid(directory: Path, port: int) -> list[str]:
    # Started by root, squid goes on as another user, who writes here too.
    directory.chmod(0o777)
    file = directory / "squid.conf"
    file.write_text(SQUID.format(port=port, directory=directory, files=FILE_LIMIT))
    return [system_program("squid"), "-N", "-f", str(file)]


def _tinyproxy(directory: Path, port: int) -> list[str]:
    file = directory / "tinyproxy.conf"
    file.write_text(TINYPROXY.format(port=port, directory=directory, files=FILE_LIMIT))
    return [system_program("tinyproxy"), "-d", "-c", str(file)]


def _pproxy(_: Path, port: int) -> list[str]:
    return [str(PEERS_PYTHON), "-m", "pproxy", "-l", f"http://127.0.0.1:{port}"]


def _microsocks(_: Path, port: int) -> list[str]:
    return [system_program("microsocks"), "-i", "127.0.0.1", "-p", str(port)]


def _proxy_py(_: Path, port: int) -> list[str]:
    # fmt: off
    return [
        str(PEERS_PYTHON), "-m", "proxy", "--hostname", "127.0.0.1", "--port", str(port),
        "--num-acceptors", "1", "--num-workers", "1", "--timeout", "600", "--log-level", "ERROR",
    ]
    # fmt: on


PEERS = (
    Peer(US, "uvloop, one process", _underpass_version, _underpass, prints_address=True),
    Peer(
        US_TWICE,
        "two workers, as tinyproxy's threads use both cores",
        _underpass_version,
        _underpass_twice,
        prints_address=True,
        only=("pingpong-64", "connects", "gets"),
    ),
    Peer(
        "squid",
        "C++, one worker, no cache",
        lambda: first_match([system_program("squid"), "-v"], r"Version (\S+)"),
        _squid,
    ),
    Peer(
        "tinyproxy",
        "C, one thread a connection",
        lambda: first_match([system_program("tinyproxy"), "-v"], r"tinyproxy (\S+)"),
        _tinyproxy,
    ),
    Peer(
        "pproxy",
        "Python, asyncio on uvloop",
        lambda: package_version(PEERS_PYTHON, "pproxy"),
        _pproxy,
    ),
    Peer(
        "proxy.py",
        "Python, one acceptor, one worker",
        lambda: package_version(PEERS_PYTHON, "proxy.py"),
        _proxy_py,
    ),
    Peer(
        "microsocks",
        "C, one thread a stream, SOCKS5 in place of CONNECT, an access log",
        _microsocks_version,
        _microsocks,
        forwards=False,
        # Not bulk up: as long as its client sends, it reads nothing of the other side, and so the
        # origin's reports of what it got do not come through.
        only=("bulk-down", "pingpong-1", "pingpong-64", "connects"),
        entry="socks5",
    ),
    Peer(
        "bare relay",
        "not a proxy: the least a CONNECT relay can be in Python",
        _bare_version,
        _bare,
        prints_address=True,
        forwards=False,
    ),
)
