"""squid and tinyproxy as the upstream proxy of ours (``--via``)."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.origins import HttpOrigin, LoopThread, websocket_origin
from tests.real.conftest import Curl, StartProxy
from tests.real.processes import free_port, serving, tail

pytestmark = pytest.mark.real

USER, PASSWORD, REALM = "carol", "open sesame", "squid"

# Far more than is kept to be sent again.
LONG_FORM = 5_000_000

# What squid's own default configuration says of CONNECT, and many a company's too.
CONNECT_TO_443 = """\
acl SSL_ports port 443
http_access deny CONNECT !SSL_ports
"""

SQUID = """\
http_port 127.0.0.1:{port}
pid_filename {folder}/squid.pid
cache_log {folder}/cache.log
access_log stdio:{folder}/access.log
logfile_rotate 0
coredump_dir {folder}
cache deny all
cache_mem 8 MB
workers 1
pinger_enable off
icp_port 0
htcp_port 0
shutdown_lifetime 0 seconds
max_filedescriptors 1024
{access}
"""

NTLM = """\
auth_param ntlm program {helper}
auth_param ntlm children 4
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all
"""

TINYPROXY = """\
Port {port}
Listen 127.0.0.1
Allow 127.0.0.1
Timeout 60
MaxClients 50
LogFile "{folder}/tinyproxy.log"
LogLevel Info
"""


@contextlib.contextmanager
def squid(program: Callable[[str], Path], folder: Path, access: str) -> Iterator[int]:
    """Run squid in the foreground; its port."""
    port = free_port()
    if os.geteuid() == 0:
        # squid started by root works as somebody else, who must be able to write here.
        access += "\ncache_effective_user nobody"
        shutil.chown(folder, "nobody")
    config = folder / "squid.conf"
    config.write_text(SQUID.format(port=port, folder=folder, access=access))
    command: list[str | Path] = [program("squid"), "-N", "-f", config, "-n", f"underpass{port}"]
    try:
        with serving(command, folder / "squid.out", port):
            yield port
    finally:
        print(tail(folder / "cache.log"))


@pytest.fixture
def squid_folder() -> Iterator[Path]:
    """A folder that another user can reach: tmp_path lies in one of mode 0700."""
    with tempfile.TemporaryDirectory(prefix="underpass-squid-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(params=["basic", "digest"])
def access(
    request: pytest.FixtureRequest, program: Callable[[str], Path], squid_folder: Path
) -> str:
    """squid's configuration for one user, by one scheme."""
    scheme = request.param
    secrets = squid_folder / "secrets"
    if scheme == "basic":
        hashed = subprocess.run(
            ["openssl", "passwd", "-apr1", PASSWORD], capture_output=True, text=True, check=True
        ).stdout.strip()
        secrets.write_text(f"{USER}:{hashed}\n")
        helper = f"{program('basic_ncsa_auth')} {secrets}"
    else:
        # RFC 7616 3.4.2, as `htdigest` writes it; squid knows MD5 only.
        digest = hashlib.md5(f"{USER}:{REALM}:{PASSWORD}".encode(), usedforsecurity=False)
        secrets.write_text(f"{USER}:{REALM}:{digest.hexdigest()}\n")
        helper = f"{program('digest_file_auth')} -c {secrets}"
    secrets.chmod(0o644)
    return "\n".join(
        (
            f"auth_param {scheme} program {helper}",
            f"auth_param {scheme} children 2",
            f"auth_param {scheme} realm {REALM}",
            "acl known proxy_auth REQUIRED",
            "http_access allow known",
            "http_access deny all",
        )
    )


def check_served(curl: Curl, url: str, plain: HttpOrigin, secure: HttpOrigin) -> None:
    for origin in (plain, secure):
        result = curl("-x", url, f"{origin.url}/bytes/200000", f"{origin.url}/bytes/100")
        assert (result.code, len(result.output)) == (0, 200_100), result.errors


def test_squid_without_users_is_gone_through(
    program: Callable[[str], Path],
    curl: Curl,
    start_proxy: StartProxy,
    squid_folder: Path,
    plain: HttpOrigin,
    secure: HttpOrigin,
) -> None:
    with squid(program, squid_folder, "http_access allow all") as port:
        proxy = start_proxy("--via", f"http://127.0.0.1:{port}", "--allow", "127.0.0.0/8")
        check_served(curl, proxy.url, plain, secure)
    # A tunnel is logged when it has ended, squid's last with squid itself.
    assert f"CONNECT {secure.name}" in (squid_folder / "access.log").read_text()


def test_squid_that_allows_connect_to_443_alone_forwards_plain_requests(
    program: Callable[[str], Path],
    curl: Curl,
    start_proxy: StartProxy,
    squid_folder: Path,
    plain: HttpOrigin,
    secure: HttpOrigin,
) -> None:
    with squid(program, squid_folder, CONNECT_TO_443 + "http_access allow all") as port:
        proxy = start_proxy("--via", f"http://127.0.0.1:{port}", "--allow", "127.0.0.0/8")
        result = curl("-x", proxy.url, f"{plain.url}/bytes/200000", f"{plain.url}/bytes/100")
        assert (result.code, len(result.output)) == (0, 200_100), result.errors
        refused = curl("-v", "-x", proxy.url, f"{secure.url}/bytes/10")
        assert "HTTP/1.1 502" in refused.errors
        assert "received-status=403" in refused.errors
        log = (squid_folder / "access.log").read_text()
        assert f"GET {plain.url}/bytes/100 " in log


async def test_squid_passes_a_websocket_on(
    program: Callable[[str], Path],
    start_proxy: StartProxy,
    squid_folder: Path,
    origins: LoopThread,
) -> None:
    access = CONNECT_TO_443 + "http_upgrade_request_protocols websocket allow all\n"
    with (
        squid(program, squid_folder, access + "http_access allow all") as port,
        origins.within(websocket_origin()) as url,
    ):
        proxy = start_proxy("--via", f"http://127.0.0.1:{port}", "--allow", "127.0.0.0/8")
        async with (
            aiohttp.ClientSession(proxy=proxy.url) as session,
            session.ws_connect(url.replace("ws:", "http:")) as channel,
        ):
            await channel.send_str("through two proxies")
            assert await channel.receive_str(timeout=10) == "through two proxies"
    assert "GET " in proxy.wait_for_line(" 101 ")


def test_squid_lets_our_user_in(
    program: Callable[[str], Path],
    curl: Curl,
    start_proxy: StartProxy,
    tmp_path: Path,
    squid_folder: Path,
    access: str,
    plain: HttpOrigin,
    secure: HttpOrigin,
) -> None:
    password = tmp_path / "password"
    password.write_text(PASSWORD + "\n")
    password.chmod(0o600)
    with squid(program, squid_folder, access) as port:
        proxy = start_proxy(
            *("--via", f"http://{USER}@127.0.0.1:{port}", "--via-password-file", password),
            *("--allow", "127.0.0.0/8"),
        )
        form = curl("-x", proxy.url, "-d", "a=1", f"{plain.url}/upload")
        assert json.loads(form.output)["length"] == 3
        check_served(curl, proxy.url, plain, secure)
        assert f" {USER} " in (squid_folder / "access.log").read_text()
    assert PASSWORD not in "\n".join(proxy.lines())


def check_long_form(curl: Curl, url: str, plain: HttpOrigin, folder: Path) -> None:
    """A form of 5 MB is the first thing that is sent; curl waits for no 100 with it."""
    path = folder / "form"
    path.write_bytes(b"x" * LONG_FORM)
    for _ in range(2):
        form = curl("-x", url, "-H", "Expect:", "--data-binary", f"@{path}", f"{plain.url}/upload")
        assert json.loads(form.output)["length"] == LONG_FORM, form.errors


def test_squid_takes_a_long_form_before_anything_else(
    program: Callable[[str], Path],
    curl: Curl,
    start_proxy: StartProxy,
    tmp_path: Path,
    squid_folder: Path,
    access: str,
    plain: HttpOrigin,
) -> None:
    with squid(program, squid_folder, access) as port:
        proxy = start_proxy(
            *("--via", f"http://{USER}@127.0.0.1:{port}", "--allow", "127.0.0.0/8"),
            UNDERPASS_VIA_PASSWORD=PASSWORD,
        )
        check_long_form(curl, proxy.url, plain, tmp_path)
        log = (squid_folder / "access.log").read_text()
    assert "/407 " not in "".join(line for line in log.splitlines() if "POST" in line)


def test_squid_lets_our_user_in_by_ntlm(
    program: Callable[[str], Path],
    curl: Curl,
    start_proxy: StartProxy,
    squid_folder: Path,
    plain: HttpOrigin,
    secure: HttpOrigin,
) -> None:
    # It believes every password, but wants each leg in its order.
    access = NTLM.format(helper=program("ntlm_fake_auth"))
    with squid(program, squid_folder, access) as port:
        proxy = start_proxy(
            *("--via", f"http://CORP%5C{USER}@127.0.0.1:{port}", "--allow", "127.0.0.0/8"),
            UNDERPASS_VIA_PASSWORD=PASSWORD,
        )
        check_served(curl, proxy.url, plain, secure)
        form = curl("-x", proxy.url, "-d", "a" * 1000, f"{plain.url}/upload")
        assert json.loads(form.output)["length"] == 1000
    log = (squid_folder / "access.log").read_text()
    # No request for a login's sake has come any further than to squid.
    assert len(plain.visits) == 3
    assert "TCP_DENIED/407" in log
    assert "HEAD" in log


def test_squid_takes_a_long_form_before_anything_else_by_ntlm(
    program: Callable[[str], Path],
    curl: Curl,
    start_proxy: StartProxy,
    tmp_path: Path,
    squid_folder: Path,
    plain: HttpOrigin,
) -> None:
    access = NTLM.format(helper=program("ntlm_fake_auth"))
    with squid(program, squid_folder, access) as port:
        proxy = start_proxy(
            *("--via", f"http://CORP%5C{USER}@127.0.0.1:{port}", "--allow", "127.0.0.0/8"),
            UNDERPASS_VIA_PASSWORD=PASSWORD,
        )
        check_long_form(curl, proxy.url, plain, tmp_path)


def test_wrong_password_for_squid_is_answered_as_our_failure(
    program: Callable[[str], Path],
    curl: Curl,
    start_proxy: StartProxy,
    squid_folder: Path,
    access: str,
    plain: HttpOrigin,
    secure: HttpOrigin,
) -> None:
    with squid(program, squid_folder, access) as port:
        proxy = start_proxy(
            *("--via", f"http://{USER}@127.0.0.1:{port}", "--allow", "127.0.0.0/8"),
            UNDERPASS_VIA_PASSWORD="wrong",
        )
        for origin in (plain, secure):
            result = curl("-v", "-x", proxy.url, f"{origin.url}/bytes/10")
            # 502, not squid's 407: the client is not asked for a password that is not its own.
            assert "HTTP/1.1 502" in result.errors
            # After three refusals squid is not even asked: that could lock the account.
            said = ("received-status=407", "it is not tried again")
            assert any(text in result.errors for text in said)
            assert origin.visits == []


@contextlib.contextmanager
def tinyproxy(program: Callable[[str], Path], folder: Path, more: str = "") -> Iterator[int]:
    """Run tinyproxy in the foreground; its port."""
    port = free_port()
    config = folder / "tinyproxy.conf"
    config.write_text(TINYPROXY.format(port=port, folder=folder) + more)
    config.chmod(0o600)
    command: list[str | Path] = [program("tinyproxy"), "-d", "-c", config]
    with serving(command, folder / "tinyproxy.out", port):
        yield port


def test_tinyproxy_is_gone_through(
    program: Callable[[str], Path],
    curl: Curl,
    start_proxy: StartProxy,
    tmp_path: Path,
    plain: HttpOrigin,
    secure: HttpOrigin,
) -> None:
    with tinyproxy(program, tmp_path) as port:
        proxy = start_proxy("--via", f"http://127.0.0.1:{port}", "--allow", "127.0.0.0/8")
        check_served(curl, proxy.url, plain, secure)
    log = (tmp_path / "tinyproxy.log").read_text()
    assert f"CONNECT {secure.name}" in log
    assert f"GET {plain.url}/bytes/100" in log


def test_tinyproxy_that_allows_connect_to_443_alone_and_wants_a_login(
    program: Callable[[str], Path],
    curl: Curl,
    start_proxy: StartProxy,
    tmp_path: Path,
    plain: HttpOrigin,
    secure: HttpOrigin,
) -> None:
    more = "ConnectPort 443\nBasicAuth carol sesame\n"
    with tinyproxy(program, tmp_path, more) as port:
        proxy = start_proxy(
            *("--via", f"http://carol@127.0.0.1:{port}", "--allow", "127.0.0.0/8"),
            UNDERPASS_VIA_PASSWORD="sesame",
        )
        form = curl("-x", proxy.url, "-d", "a=1", f"{plain.url}/upload")
        assert json.loads(form.output)["length"] == 3
        refused = curl("-v", "-x", proxy.url, f"{secure.url}/bytes/10")
        assert "HTTP/1.1 502" in refused.errors
        assert secure.visits == []
