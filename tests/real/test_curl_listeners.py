"""curl to the listeners that are not plain TCP, and with users."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.origins import Authority, HttpOrigin
from tests.real.conftest import Curl, StartProxy
from tests.real.processes import ProxyProcess

pytestmark = pytest.mark.real

UserCommand = Callable[..., str]


@pytest.fixture
def guarded(user_command: UserCommand, start_proxy: StartProxy, state: Path) -> ProxyProcess:
    """A proxy with one user, alice."""
    user_command("add", "alice", stdin="wonder:land\n")
    return start_proxy("--allow", "127.0.0.0/8", "--auth", "basic", "--state", state)


def test_right_password_is_let_in(curl: Curl, guarded: ProxyProcess, secure: HttpOrigin) -> None:
    result = curl("-x", guarded.url, "--proxy-user", "alice:wonder:land", f"{secure.url}/echo")
    assert json.loads(result.output)["target"] == "/echo"
    assert " alice " in guarded.wait_for_line("CONNECT")


def test_credentials_do_not_reach_the_origin(
    curl: Curl, guarded: ProxyProcess, plain: HttpOrigin
) -> None:
    result = curl("-x", guarded.url, "--proxy-user", "alice:wonder:land", f"{plain.url}/echo")
    assert "proxy-authorization" not in json.loads(result.output)["fields"]


@pytest.mark.parametrize("user", ["alice:wrong", "bob:wonder:land", "alice:"])
def test_wrong_password_is_answered_407(
    curl: Curl, guarded: ProxyProcess, plain: HttpOrigin, user: str
) -> None:
    result = curl("-i", "-x", guarded.url, "--proxy-user", user, f"{plain.url}/echo")
    assert result.text.startswith("HTTP/1.1 407")
    assert "proxy-authenticate: basic" in result.text.lower()
    assert plain.visits == []


def test_anyauth_answers_the_challenge(
    curl: Curl, guarded: ProxyProcess, plain: HttpOrigin
) -> None:
    result = curl(
        *("-x", guarded.url, "--proxy-anyauth", "--proxy-user", "alice:wonder:land"),
        f"{plain.url}/bytes/100",
    )
    assert len(result.output) == 100


def test_token_is_let_in(
    curl: Curl, guarded: ProxyProcess, secure: HttpOrigin, user_command: UserCommand
) -> None:
    token = user_command("token", "alice").strip()
    bearer = f"Proxy-Authorization: Bearer {token}"
    result = curl("-x", guarded.url, "--proxy-header", bearer, f"{secure.url}/bytes/100")
    assert (result.code, len(result.output)) == (0, 100)


def test_tls_listener_serves_tunnels_and_requests(
    curl: Curl,
    start_proxy: StartProxy,
    authority: Authority,
    plain: HttpOrigin,
    secure: HttpOrigin,
) -> None:
    proxy = start_proxy(
        *("--allow", "127.0.0.0/8"),
        *("--tls-cert", authority.cert_file, "--tls-key", authority.key_file),
    )
    assert proxy.url.startswith("https://")
    flags = ("-x", proxy.url, "--proxy-cacert", authority.ca_file)
    for origin in (plain, secure):
        result = curl(*flags, f"{origin.url}/bytes/100000")
        assert (result.code, len(result.output)) == (0, 100_000), result.errors


def test_unix_listener_serves_a_tunnel(
    start_proxy: StartProxy, tmp_path: Path, plain: HttpOrigin
) -> None:
    # curl's -x takes no socket of this kind, so the client is ours.
    path = tmp_path / "proxy.sock"
    proxy = start_proxy("--listen", f"unix:{path}", "--allow", "127.0.0.0/8")
    assert proxy.url == f"unix:{path}"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(path))
        stream = sock.makefile("rwb")
        stream.write(f"CONNECT {plain.name} HTTP/1.1\r\nHost: {plain.name}\r\n\r\n".encode())
        stream.flush()
        assert stream.readline().startswith(b"HTTP/1.1 200")
        while stream.readline() != b"\r\n":
            pass
        stream.write(b"GET /close HTTP/1.0\r\n\r\n")
        stream.flush()
        assert stream.read().endswith(b"everything until the end")


def test_unix_listener_forwards_for_curl(
    curl: Curl, start_proxy: StartProxy, tmp_path: Path, plain: HttpOrigin
) -> None:
    # --request-target makes curl say to its "origin", the socket, what it would say to a proxy.
    path = tmp_path / "proxy.sock"
    start_proxy("--listen", f"unix:{path}", "--allow", "127.0.0.0/8")
    result = curl(*("--unix-socket", path, "--request-target", f"{plain.url}/bytes/500", plain.url))
    assert (result.code, len(result.output)) == (0, 500)
