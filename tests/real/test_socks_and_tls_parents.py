"""Upstream proxies that speak SOCKS5, or HTTP within TLS: microsocks, ssh -D, and squid itself."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.origins import Authority, HttpOrigin
from tests.real.conftest import LOOPBACK, Curl, StartProxy
from tests.real.processes import free_port, serving
from tests.real.ssh_server import ssh_server
from tests.real.test_parents import PASSWORD, USER, access, check_served, squid, squid_folder
from tests.real.tunnel import tunnel_in

pytestmark = pytest.mark.real

__all__ = ["access", "squid_folder"]


@contextlib.contextmanager
def microsocks(program: Callable[[str], Path], folder: Path, *flags: str) -> Iterator[int]:
    """Run microsocks; its port."""
    port = free_port()
    command: list[str | Path] = [program("microsocks"), "-i", "127.0.0.1", "-p", str(port), *flags]
    with serving(command, folder / "microsocks.out", port):
        yield port


def test_microsocks_lets_our_user_in(
    program: Callable[[str], Path],
    curl: Curl,
    start_proxy: StartProxy,
    tmp_path: Path,
    plain: HttpOrigin,
    secure: HttpOrigin,
) -> None:
    with microsocks(program, tmp_path, "-u", USER, "-P", PASSWORD) as port:
        via = ("--via", f"socks5://{USER}@127.0.0.1:{port}", *LOOPBACK)
        proxy = start_proxy(*via, UNDERPASS_VIA_PASSWORD=PASSWORD)
        check_served(curl, proxy.url, plain, secure)
        wrong = start_proxy(*via, UNDERPASS_VIA_PASSWORD="wrong")
        refused = curl("-v", "-x", wrong.url, f"{plain.url}/bytes/10")
        assert "HTTP/1.1 502" in refused.errors
        assert "SOCKS" in refused.text


def test_microsocks_brings_a_client_to_its_server(
    program: Callable[[str], Path], curl: Curl, tmp_path: Path, plain: HttpOrigin
) -> None:
    with microsocks(program, tmp_path) as port, tunnel_in(tmp_path) as tunnel:
        tunnel.join("work")
        client = tunnel.start_client("work", "--via", f"socks5://127.0.0.1:{port}")
        client.wait_for("tunnel up: websocket, ")
        front_end = f"socks5h://127.0.0.1:{client.port('socks5')}"
        result = curl("-x", front_end, f"{plain.url}/bytes/200000")
        assert (result.code, len(result.output)) == (0, 200_000), result.errors


def test_ssh_is_gone_through(
    program: Callable[[str], Path],
    curl: Curl,
    start_proxy: StartProxy,
    tmp_path: Path,
    plain: HttpOrigin,
    secure: HttpOrigin,
) -> None:
    port = free_port()
    with ssh_server(program, tmp_path / "ssh") as server:
        flags = ["-N", "-D", f"127.0.0.1:{port}"]
        command: list[str | Path] = [program("ssh"), *server.options(), *flags, server.login]
        with serving(command, tmp_path / "ssh.out", port):
            proxy = start_proxy("--via", f"socks5://127.0.0.1:{port}", *LOOPBACK)
            check_served(curl, proxy.url, plain, secure)


def test_squid_is_spoken_to_within_tls(
    program: Callable[[str], Path],
    curl: Curl,
    start_proxy: StartProxy,
    authority: Authority,
    squid_folder: Path,
    access: str,
    plain: HttpOrigin,
    secure: HttpOrigin,
) -> None:
    port = free_port()
    # squid reads them as whom it works as.
    certificate, key = squid_folder / "certificate.pem", squid_folder / "key.pem"
    certificate.write_bytes(authority.cert_file.read_bytes())
    key.write_bytes(authority.key_file.read_bytes())
    key.chmod(0o644)
    listen = f"https_port 127.0.0.1:{port} tls-cert={certificate} tls-key={key}"
    with squid(program, squid_folder, f"{access}\n{listen}"):
        via = ("--via", f"https://{USER}@127.0.0.1:{port}", *LOOPBACK)
        trusting = start_proxy(
            *via, UNDERPASS_VIA_PASSWORD=PASSWORD, SSL_CERT_FILE=str(authority.ca_file)
        )
        check_served(curl, trusting.url, plain, secure)
        doubting = start_proxy(*via, UNDERPASS_VIA_PASSWORD=PASSWORD)
        refused = curl("-v", "-x", doubting.url, f"{plain.url}/bytes/10")
        assert "HTTP/1.1 502" in refused.errors
        assert "certificate" in refused.text
    log = (squid_folder / "access.log").read_text()
    assert f" {USER} " in log
