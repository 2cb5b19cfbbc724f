"""The network of the tunnel's demo: a real squid that refuses CONNECT, or our own box instead."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from scripts.demo_parts import START_SECONDS, DemoError, end
from underpass.testing.middlebox import Behaviour, Connect, Middlebox

SYSTEM_FOLDERS = ("/usr/sbin", "/sbin", "/usr/local/sbin")

SQUID = """\
http_port 127.0.0.1:{port}
acl CONNECT method CONNECT
http_access deny CONNECT
http_access allow localhost
http_access deny all
cache deny all
pid_filename none
access_log none
cache_log /dev/null
coredump_dir {folder}
pinger_enable off
shutdown_lifetime 0 seconds
max_filedescriptors 1024
"""


class HostileProxy(Protocol):
    """A proxy that refuses CONNECT."""

    @property
    def url(self) -> str:
        """Where it is."""

    @property
    def name(self) -> str:
        """What it is, for the account."""

    def break_all(self) -> None:
        """End everything that goes through it now; it serves again at once."""


def find(name: str) -> str | None:
    """The path of a program, also where only root looks."""
    places = [os.environ.get("PATH", os.defpath), *SYSTEM_FOLDERS]
    return shutil.which(name, path=os.pathsep.join(places))


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int, process: subprocess.Popen[bytes], what: str) -> None:
    """Return once something accepts there. Raises `DemoError`."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise DemoError(f"{what} did not start")


class Squid:
    """A real squid; breaking all means that it is killed and started again."""

    name = "a real squid"

    def __init__(self, program: str, folder: Path) -> None:
        self._port = free_port()
        config = folder / "squid.conf"
        config.write_text(SQUID.format(port=self._port, folder=folder))
        self._command = [program, "-N", "-f", str(config), "-n", f"demo{self._port}"]
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for_port(self._port, process, "squid")
        return process

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def break_all(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process = self._start()

    def end(self) -> None:
        """End it."""
        end(self._process)


class Box:
    """Our own middlebox, in a thread with a loop of its own."""

    name = "our own middlebox (squid is not installed)"

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._entered = threading.Event()
        self._left = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        if not self._entered.wait(START_SECONDS):
            raise DemoError("the middlebox did not start")

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        async with Middlebox(Behaviour(connect=Connect.REFUSED)) as box:
            self._box = box
            self._entered.set()
            await self._left.wait()

    @property
    def url(self) -> str:
        return self._box.url

    def break_all(self) -> None:
        self._loop.call_soon_threadsafe(self._box.cut_all)

    def end(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._left.set)
        self._thread.join(START_SECONDS)


@contextlib.contextmanager
def hostile_proxy(folder: Path) -> Iterator[HostileProxy]:
    """squid if it is installed, else a box of our own."""
    program = find("squid")
    proxy = Squid(program, folder) if program else Box()
    try:
        yield proxy
    finally:
        proxy.end()
