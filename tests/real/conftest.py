"""Origins in this process, the proxy in one of its own, and curl."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from tests.origins import Authority, HttpOrigin, LoopThread, http_origin, loop_thread
from tests.real.cutting_relay import CuttingRelay, cutting_relay
from tests.real.processes import ProxyProcess, clean_environment, proxy_process, underpass
from tests.real.tunnel import Tunnel, tunnel_in

CURL_SECONDS = 30

# What tests reach is on loopback, which is denied unless it is said.
LOOPBACK = ("--allow", "127.0.0.0/8")


class StartProxy(Protocol):
    def __call__(self, *flags: str | Path, **environment: str) -> ProxyProcess: ...


@dataclass(frozen=True)
class CurlResult:
    """How curl ended and what it printed."""

    code: int
    output: bytes
    errors: str

    @property
    def text(self) -> str:
        return self.output.decode("latin-1")


class Curl(Protocol):
    def __call__(self, *arguments: str | Path, stdin: Path | None = None) -> CurlResult: ...


@pytest.fixture(scope="session")
def origins() -> Iterator[LoopThread]:
    """The loop that the origins run in."""
    with loop_thread() as thread:
        yield thread


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A CA and a certificate for loopback."""
    return Authority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def plain(origins: LoopThread) -> Iterator[HttpOrigin]:
    """An HTTP origin."""
    with origins.within(http_origin()) as origin:
        yield origin


@pytest.fixture
def secure(origins: LoopThread, authority: Authority) -> Iterator[HttpOrigin]:
    """An HTTPS origin."""
    with origins.within(http_origin(context=authority.server_context())) as origin:
        yield origin


@pytest.fixture
def start_proxy(tmp_path: Path) -> Iterator[StartProxy]:
    """Start proxies with flags; all end with the test."""
    with contextlib.ExitStack() as stack:
        count = 0

        def start(*flags: str | Path, **environment: str) -> ProxyProcess:
            nonlocal count
            count += 1
            folder = tmp_path / f"proxy-{count}"
            folder.mkdir()
            return stack.enter_context(proxy_process(folder, *flags, **environment))

        yield start


@pytest.fixture
def proxy(start_proxy: StartProxy) -> ProxyProcess:
    """A proxy that may reach loopback."""
    return start_proxy(*LOOPBACK)


@pytest.fixture
def tunnel(tmp_path: Path) -> Iterator[Tunnel]:
    """A running server."""
    with tunnel_in(tmp_path) as running:
        yield running


@pytest.fixture
def relay(tunnel: Tunnel, origins: LoopThread) -> CuttingRelay:
    """What a client's carriers go over; it ends after the client, which drains through it."""
    return tunnel.stack.enter_context(origins.within(cutting_relay(tunnel.port)))


@pytest.fixture
def curl(program: Callable[[str], Path], authority: Authority) -> Curl:
    """Run curl, which trusts the test's CA and goes to loopback by the proxy, too."""
    path = program("curl")

    def run(*arguments: str | Path, stdin: Path | None = None) -> CurlResult:
        command = [path, "-sS", "--noproxy", "", "--cacert", authority.ca_file, *arguments]
        with (stdin or Path("/dev/null")).open("rb") as given:
            done = subprocess.run(
                command,
                stdin=given,
                capture_output=True,
                env=clean_environment(),
                timeout=CURL_SECONDS,
                check=False,
            )
        return CurlResult(done.returncode, done.stdout, done.stderr.decode("latin-1"))

    return run


class AddUser(Protocol):
    def __call__(self, name: str, password: str, *flags: str) -> Path: ...


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A directory for users."""
    return tmp_path / "state"


@pytest.fixture
def user_command(state: Path) -> Callable[..., str]:
    """Run ``underpass user …`` on `state`; what it prints."""

    def run(*arguments: str, stdin: str = "") -> str:
        return subprocess.run(
            underpass("user", *arguments, "--state", state),
            input=stdin,
            stdout=subprocess.PIPE,
            env=clean_environment(),
            text=True,
            timeout=CURL_SECONDS,
            check=True,
        ).stdout

    return run
