"""Programs that everybody has, through a server and a client of the tunnel."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.origins import HttpOrigin, LoopThread, pattern, pattern_hash
from tests.real.conftest import Curl
from tests.real.cutting_relay import CuttingRelay, cut_every
from tests.real.processes import clean_environment, wait_until
from tests.real.ssh_server import ssh_server
from tests.real.tunnel import Running, Tunnel, underpass_command

pytestmark = [pytest.mark.real, pytest.mark.slow]

SIZE = 20_000_000
KINDS = ("websocket", "stream", "poll", "get")


@pytest.fixture
def client(tunnel: Tunnel) -> Running:
    """A running client."""
    tunnel.join("work")
    client = tunnel.start_client("work")
    client.wait_for("tunnel up: websocket, direct, [0-9]+ ms")
    return client


@contextlib.contextmanager
def files_served(folder: Path) -> Iterator[int]:
    """Python's own file server for `folder`; its port."""
    handler = functools.partial(SilentFiles, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


class SilentFiles(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


def proxies(client: Running) -> dict[str, list[str]]:
    """How curl uses each front end."""
    socks, http = client.port("socks5"), client.port("http")
    return {
        "socks5": ["--socks5-hostname", f"127.0.0.1:{socks}"],
        "socks4a": ["--socks4a", f"127.0.0.1:{socks}"],
        "plain": ["-x", f"http://127.0.0.1:{http}"],
        "connect": ["-p", "-x", f"http://127.0.0.1:{http}"],
    }


@pytest.mark.parametrize("front_end", ["socks5", "socks4a", "plain", "connect"])
def test_curl_fetches_by(front_end: str, client: Running, curl: Curl, plain: HttpOrigin) -> None:
    done = curl(*proxies(client)[front_end], f"{plain.url}/bytes/{SIZE}")
    assert hashlib.sha256(done.output).hexdigest() == pattern_hash(SIZE)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_carrier_brings_it_whole(
    kind: str, tunnel: Tunnel, curl: Curl, plain: HttpOrigin, tmp_path: Path
) -> None:
    tunnel.join("work")
    client = tunnel.start_client("work", "--carrier", kind)
    client.wait_for(f"tunnel up: {kind}, direct")
    down = curl(*proxies(client)["socks5"], f"{plain.url}/bytes/{SIZE}")
    assert hashlib.sha256(down.output).hexdigest() == pattern_hash(SIZE)
    body = tmp_path / "body"
    body.write_bytes(b"".join(pattern(SIZE // 4)))
    up = curl(*proxies(client)["socks5"], "-T", body, f"{plain.url}/upload")
    assert pattern_hash(SIZE // 4) in up.text


def test_a_refusal_reaches_the_application_in_its_own_words(
    client: Running, curl: Curl, tunnel: Tunnel
) -> None:
    ways = proxies(client)
    # Port 1 is closed.
    refused = curl("-i", *ways["plain"], "http://127.0.0.1:1/").text
    assert refused.startswith("HTTP/1.1 502")
    assert "error=connection_refused" in refused
    denied = curl("-i", *ways["plain"], "http://169.254.169.254/").text
    assert denied.startswith("HTTP/1.1 403")
    assert "(5)" in curl(*ways["socks5"], "http://127.0.0.1:1/").errors


def test_ssh_goes_by_stdio(tunnel: Tunnel, program: Callable[[str], Path], tmp_path: Path) -> None:
    tunnel.join("work")
    with ssh_server(program, tmp_path / "ssh") as server:
        command = underpass_command("stdio", "work", "%h:%p")
        done = subprocess.run(
            [program("ssh"), *server.options(ProxyCommand=command), server.login, "sha256sum"],
            input=b"".join(pattern(SIZE)),
            capture_output=True,
            env=clean_environment(**tunnel.environment),
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.split()[0].decode() == pattern_hash(SIZE)


def test_git_clones_within_run(
    tunnel: Tunnel, program: Callable[[str], Path], plain: HttpOrigin, tmp_path: Path
) -> None:
    git = str(program("git"))
    source = tmp_path / "source"
    name = ["-c", "user.name=T", "-c", "user.email=t@example.com"]
    subprocess.run([git, "init", "-q", source], check=True, timeout=10)
    (source / "file").write_bytes(b"".join(pattern(1_000_000)))
    subprocess.run([git, "-C", source, "add", "."], check=True, timeout=10)
    subprocess.run([git, "-C", source, *name, "commit", "-qm", "One"], check=True, timeout=10)
    subprocess.run([git, "-C", source, "update-server-info"], check=True, timeout=10)
    tunnel.join("work")
    with files_served(source / ".git") as port:
        done = subprocess.run(
            [*underpass_command("run", "work", "--").split(), git, "clone", "-q",
             f"http://127.0.0.1:{port}/", tmp_path / "copy"],
            capture_output=True,
            env=clean_environment(NO_PROXY="", **tunnel.environment),
            timeout=30,
            check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "copy" / "file").read_bytes() == b"".join(pattern(1_000_000))
    assert f"127.0.0.1:{port}" in tunnel.server.log.read_text()


def test_a_server_that_is_killed_and_started_gets_its_clients_back(
    tunnel: Tunnel, client: Running, curl: Curl, plain: HttpOrigin
) -> None:
    tunnel.kill_server()
    tunnel.start_server()
    client.wait_for("tunnel up", count=2)
    done = curl(*proxies(client)["socks5"], f"{plain.url}/bytes/1000")
    assert len(done.output) == 1000


@pytest.mark.parametrize("kind", KINDS)
def test_carriers_that_are_cut_break_no_transfer(
    kind: str,
    tunnel: Tunnel,
    relay: CuttingRelay,
    curl: Curl,
    plain: HttpOrigin,
    origins: LoopThread,
) -> None:
    tunnel.join("work", relay.port)
    client = tunnel.start_client("work", "--carrier", kind)
    client.wait_for(f"tunnel up: {kind}")
    # A third of a second at this rate, several cuts long.
    slowly = ["--limit-rate", "20M"]
    with cut_every(0.15, relay, origins):
        done = curl(*proxies(client)["socks5"], *slowly, f"{plain.url}/bytes/{SIZE}")
    assert done.errors == ""
    assert hashlib.sha256(done.output).hexdigest() == pattern_hash(SIZE)
    assert relay.cuts >= 3


@pytest.mark.parametrize("kind", ["websocket", "poll"])
def test_a_network_that_is_gone_for_a_while_breaks_no_transfer(
    kind: str,
    tunnel: Tunnel,
    relay: CuttingRelay,
    curl: Curl,
    plain: HttpOrigin,
    origins: LoopThread,
) -> None:
    tunnel.join("work", relay.port)
    client = tunnel.start_client("work", "--carrier", kind)
    client.wait_for(f"tunnel up: {kind}")

    def go_and_come_back() -> None:
        relay.is_closed = True
        origins.run(relay.cut())
        wait_until(lambda: "no tunnel" in client.log.read_text(), "it notices")
        relay.is_closed = False

    # Within the transfer, which takes a second at this rate.
    timer = threading.Timer(0.3, go_and_come_back)
    timer.start()
    try:
        slowly = ["--limit-rate", "20M"]
        done = curl(*proxies(client)["socks5"], *slowly, f"{plain.url}/bytes/{SIZE}")
    finally:
        timer.join()
    assert done.errors == ""
    assert hashlib.sha256(done.output).hexdigest() == pattern_hash(SIZE)
    client.wait_for(f"tunnel up: {kind}", count=2)


def test_status_tells_how_a_client_is(tunnel: Tunnel, client: Running) -> None:
    told = json.loads(tunnel.run("status", "work", "--json").stdout)
    assert told["up"] is True
    assert told["carrier"] == "websocket, direct"
    assert told["user"] == "work"
    words = tunnel.run("status", "work").stdout.decode()
    assert "websocket, direct" in words
    client.process.terminate()
    client.process.wait(10)
    after = tunnel.run("status", "work", check=False)
    assert after.returncode == 2
    assert b"no client of this profile is running" in after.stderr


def test_a_removed_user_is_told_so_and_the_client_ends(tunnel: Tunnel, client: Running) -> None:
    tunnel.run("user", "remove", "work", "--state", str(tunnel.folder / "server"))
    assert client.process.wait(15) == 1
    assert "not known here" in client.log.read_text()


def test_a_client_ends_in_order(tunnel: Tunnel, client: Running) -> None:
    client.process.send_signal(signal.SIGTERM)
    assert client.process.wait(10) == 0
    wait_until(lambda: "the client has ended" in tunnel.server.log.read_text(), "the last word")


def test_the_code_goes_once_it_has_been_used(tunnel: Tunnel, client: Running) -> None:
    profile = tunnel.folder / "config" / "underpass" / "profiles" / "work.toml"
    wait_until(lambda: "code =" not in profile.read_text(), "no code in the profile")
    assert profile.stat().st_mode & 0o777 == 0o600
    again = tunnel.run("stdio", "work", "127.0.0.1:1", check=False)
    assert b"connection refused" in again.stderr


def test_an_invite_works_without_a_profile_and_again(tunnel: Tunnel, plain: HttpOrigin) -> None:
    invite = str(tunnel.invite())
    for _ in range(2):
        request = f"GET /bytes/5 HTTP/1.0\r\nHost: {plain.name}\r\n\r\n".encode()
        done = tunnel.run("stdio", "--invite-file", invite, plain.name, stdin=request)
        assert done.stdout.startswith(b"HTTP/1.")


def test_run_ends_as_the_program_does(tunnel: Tunnel) -> None:
    tunnel.join("work")
    command = (
        "import os, signal; print(os.environ['http_proxy'], flush=True); os.kill(os.getpid(), 9)"
    )
    done = tunnel.run("run", "work", "--", "python3", "-c", command, check=False)
    assert done.returncode == 128 + signal.SIGKILL
    assert done.stdout.startswith(b"http://127.0.0.1:")
    assert tunnel.run("run", "--", "no-such-program", check=False).returncode == 127
