"""The proxies measured: how each is found, installed and started for the proxy scenario.

Like for like: one process or worker, no cache, no access log, any port of loopback allowed, each
with its own temporary directory. What a peer does by default beyond that is left as it is.

    python -m bench.peers install      fetch what can be had, say what could not
    python -m bench.peers              what is here, and its version
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.figures import US, US_TWICE
from bench.processes import FILE_LIMIT, Running, free_port, start

HERE = Path(__file__).parent
ROOT = HERE.parent
PEERS_PYTHON = HERE / "peers" / ".venv" / "bin" / "python"
# uvloop stands beside pproxy because pproxy is faster with it; 0.22 and later refuse the way in
# which pproxy asks for its loop.
PYTHON_PEERS = ("pproxy==2.7.9", "proxy.py==2.4.10", "uvloop==0.21.0")
DEBIAN_PEERS = ("squid", "tinyproxy")

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

    def start(self, directory: Path) -> Running:
        """Start it in `directory` (its own, empty); raises `BenchError`."""
        if self.prints_address:
            return start(self.name, self.command(directory, 0), directory, None)
        port = free_port()
        command = self.command(directory, port)
        return start(self.name, command, directory, f"127.0.0.1:{port}")


def _first_line(command: list[str], pattern: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (FileNotFoundError, PermissionError):
        return None
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found and done.returncode == 0 else None


def _package_version(python: Path, package: str) -> str | None:
    code = f"from importlib.metadata import version; print('is', version({package!r}))"
    return _first_line([str(python), "-c", code], r"is (\S+)")


def _bare_version() -> str | None:
    version = _package_version(Path(sys.executable), "uvloop")
    return f"on uvloop {version}" if version else None


def _underpass_version() -> str | None:
    command = Path(sys.executable).parent / "underpass"
    return _package_version(Path(sys.executable), "underpass") if command.exists() else None


def _underpass(_: Path, port: int) -> list[str]:
    command = str(Path(sys.executable).parent / "underpass")
    return [command, "proxy", "--listen", f"127.0.0.1:{port}", "--allow", "127.0.0.0/8"]


def _underpass_twice(directory: Path, port: int) -> list[str]:
    return [*_underpass(directory, port), "--workers", "2"]


def _bare(_: Path, __: int) -> list[str]:
    return [sys.executable, str(HERE / "bare_relay.py")]


def _squid(directory: Path, port: int) -> list[str]:
    # Started by root, squid goes on as another user, who writes here too.
    directory.chmod(0o777)
    file = directory / "squid.conf"
    file.write_text(SQUID.format(port=port, directory=directory, files=FILE_LIMIT))
    return [_system_program("squid"), "-N", "-f", str(file)]


def _tinyproxy(directory: Path, port: int) -> list[str]:
    file = directory / "tinyproxy.conf"
    file.write_text(TINYPROXY.format(port=port, directory=directory, files=FILE_LIMIT))
    return [_system_program("tinyproxy"), "-d", "-c", str(file)]


def _pproxy(_: Path, port: int) -> list[str]:
    return [str(PEERS_PYTHON), "-m", "pproxy", "-l", f"http://127.0.0.1:{port}"]


def _proxy_py(_: Path, port: int) -> list[str]:
    # fmt: off
    return [
        str(PEERS_PYTHON), "-m", "proxy", "--hostname", "127.0.0.1", "--port", str(port),
        "--num-acceptors", "1", "--num-workers", "1", "--timeout", "600", "--log-level", "ERROR",
    ]
    # fmt: on


def _system_program(name: str) -> str:
    # squid lives in sbin, which the PATH of a plain user does not hold.
    return shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin") or name


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
        lambda: _first_line([_system_program("squid"), "-v"], r"Version (\S+)"),
        _squid,
    ),
    Peer(
        "tinyproxy",
        "C, one thread a connection",
        lambda: _first_line([_system_program("tinyproxy"), "-v"], r"tinyproxy (\S+)"),
        _tinyproxy,
    ),
    Peer(
        "pproxy",
        "Python, asyncio on uvloop",
        lambda: _package_version(PEERS_PYTHON, "pproxy"),
        _pproxy,
    ),
    Peer(
        "proxy.py",
        "Python, one acceptor, one worker",
        lambda: _package_version(PEERS_PYTHON, "proxy.py"),
        _proxy_py,
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


def _attempt(command: list[str]) -> str | None:
    """Run an installer; return what went wrong, or None."""
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    except FileNotFoundError:
        return f"{command[0]} is not here"
    except subprocess.TimeoutExpired:
        return "it took longer than ten minutes"
    except subprocess.CalledProcessError as error:
        return str(error.stderr).strip().splitlines()[-1] if error.stderr else str(error)
    return None


def install() -> list[str]:
    """Install every peer that can be had; return a line for each that could not."""
    wanted = [package for package in DEBIAN_PEERS if not shutil.which(_system_program(package))]
    if wanted:
        # A fresh machine knows no package by name; where this fails, installing says why.
        _attempt(["apt-get", "update"])
    missing = [
        f"{package}: {problem} (install the Debian package yourself)"
        for package in wanted
        if (problem := _attempt(["apt-get", "install", "-y", "--no-install-recommends", package]))
    ]
    environment = PEERS_PYTHON.parent.parent
    problem = _attempt([sys.executable, "-m", "venv", str(environment)]) or _attempt(
        [str(PEERS_PYTHON), "-m", "pip", "install", "--quiet", *PYTHON_PEERS]
    )
    if problem:
        missing.append(f"{', '.join(PYTHON_PEERS)}: {problem}")
    return missing


def main(arguments: list[str]) -> int:
    """`install` installs first; then, and without it, list what is here."""
    if arguments not in ([], ["install"]):
        print(__doc__)
        return 2
    missing = install() if arguments else []
    for peer in PEERS:
        print(f"{peer.name:<12} {peer.version() or 'not here':<18} {peer.remark}")
    for line in missing:
        print(f"could not install {line}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
