"""curl through the proxy: every way it can ask."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from tests.origins import HttpOrigin, pattern
from tests.real.conftest import Curl
from tests.real.processes import ProxyProcess

pytestmark = pytest.mark.real

BIG = 100_000_000


@pytest.fixture
def big_file(tmp_path: Path) -> Path:
    path = tmp_path / "big"
    with path.open("wb") as file:
        file.writelines(pattern(BIG))
    return path


def hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_connect_to_a_tls_origin_carries_the_exchange(
    curl: Curl, proxy: ProxyProcess, secure: HttpOrigin
) -> None:
    result = curl("-x", proxy.url, f"{secure.url}/echo")
    assert json.loads(result.output)["target"] == "/echo"
    assert f"CONNECT {secure.name} 200" in proxy.wait_for_line("CONNECT")


def test_proxytunnel_to_a_plain_origin_carries_the_exchange(
    curl: Curl, proxy: ProxyProcess, plain: HttpOrigin
) -> None:
    result = curl("--proxytunnel", "-x", proxy.url, f"{plain.url}/echo")
    seen = json.loads(result.output)
    assert seen["target"] == "/echo"
    assert "via" not in seen["fields"]


def test_plain_get_is_forwarded_in_origin_form_with_via(
    curl: Curl, proxy: ProxyProcess, plain: HttpOrigin
) -> None:
    result = curl("-x", proxy.url, f"{plain.url}/echo?a=1")
    seen = json.loads(result.output)
    assert seen["target"] == "/echo?a=1"
    assert seen["fields"]["host"] == plain.name
    assert re.fullmatch(r"1\.1 underpass-[0-9a-f]+", seen["fields"]["via"])
    assert not [name for name in seen["fields"] if name.startswith("proxy-")]


def test_two_urls_use_one_connection_each_side(
    curl: Curl, proxy: ProxyProcess, plain: HttpOrigin
) -> None:
    result = curl("-v", "-x", proxy.url, f"{plain.url}/status/200", f"{plain.url}/bytes/10")
    assert len(result.output) == 10
    assert "Re-using existing connection" in result.errors
    assert plain.connections == 1


def test_http_1_0_connect_carries_the_exchange(
    curl: Curl, proxy: ProxyProcess, secure: HttpOrigin
) -> None:
    result = curl("--proxy1.0", proxy.name, f"{secure.url}/bytes/1000")
    assert (result.code, len(result.output)) == (0, 1000)


def test_http_1_0_get_is_answered(curl: Curl, proxy: ProxyProcess, plain: HttpOrigin) -> None:
    result = curl("--http1.0", "-x", proxy.url, f"{plain.url}/chunked")
    assert (result.code, result.output) == (0, b"one two three")


@pytest.mark.parametrize("tunnel", [True, False], ids=["tunnel", "forward"])
def test_large_upload_arrives_whole(
    curl: Curl, proxy: ProxyProcess, plain: HttpOrigin, big_file: Path, tunnel: bool
) -> None:
    flags = ["--proxytunnel"] if tunnel else []
    result = curl(*flags, "-x", proxy.url, "-T", big_file, f"{plain.url}/upload")
    seen = json.loads(result.output)
    assert (seen["length"], seen["sha256"]) == (BIG, hash_of(big_file))


@pytest.mark.parametrize("tunnel", [True, False], ids=["tunnel", "forward"])
def test_large_download_arrives_whole(
    curl: Curl, proxy: ProxyProcess, plain: HttpOrigin, tmp_path: Path, tunnel: bool
) -> None:
    flags = ["--proxytunnel"] if tunnel else []
    head, body = tmp_path / "head", tmp_path / "body"
    result = curl(*flags, "-x", proxy.url, "-D", head, "-o", body, f"{plain.url}/bytes/{BIG}")
    assert result.code == 0, result.errors
    assert f"X-SHA256: {hash_of(body)}" in head.read_text()


def test_expect_100_continue_is_carried_through(
    curl: Curl, proxy: ProxyProcess, plain: HttpOrigin, tmp_path: Path
) -> None:
    body = tmp_path / "body"
    body.write_bytes(b"x" * 5000)
    result = curl(
        "-v",
        *("-H", "Expect: 100-continue", "--expect100-timeout", "20", "--max-time", "15"),
        *("-x", proxy.url, "-T", body, f"{plain.url}/upload"),
    )
    assert json.loads(result.output)["length"] == 5000
    assert "HTTP/1.1 100 Continue" in result.errors


def test_chunked_upload_arrives_chunked(
    curl: Curl, proxy: ProxyProcess, plain: HttpOrigin, tmp_path: Path
) -> None:
    body = tmp_path / "body"
    body.write_bytes(b"y" * 300_000)
    result = curl("-x", proxy.url, "-T", "-", f"{plain.url}/upload", stdin=body)
    seen = json.loads(result.output)
    assert (seen["length"], seen["sha256"]) == (300_000, hash_of(body))
    assert seen["fields"]["transfer-encoding"].lower() == "chunked"


def test_head_has_no_body(curl: Curl, proxy: ProxyProcess, plain: HttpOrigin) -> None:
    result = curl("-x", proxy.url, "--max-time", "10", "-I", f"{plain.url}/bytes/5000")
    assert result.code == 0, result.errors
    assert result.text.startswith("HTTP/1.1 200")
    assert "Content-Length: 5000" in result.text


@pytest.mark.parametrize(
    ("page", "body"),
    [("/chunked", b"one two three"), ("/close", b"everything until the end"), ("/status/204", b"")],
)
def test_body_framings_are_carried_through(
    curl: Curl, proxy: ProxyProcess, plain: HttpOrigin, page: str, body: bytes
) -> None:
    result = curl("-x", proxy.url, "--max-time", "10", f"{plain.url}{page}")
    assert (result.code, result.output) == (0, body)


def test_refused_connect_says_403_and_why(curl: Curl, proxy: ProxyProcess) -> None:
    result = curl("-v", "-x", proxy.url, "https://10.1.2.3/")
    assert result.code == 56, result.errors
    assert "HTTP/1.1 403" in result.errors
    assert "proxy-status: underpass;error=destination_ip_prohibited" in result.errors.lower()
    assert proxy.wait_for_line(" 403 ")


def test_refused_request_says_403_and_why(curl: Curl, proxy: ProxyProcess) -> None:
    result = curl("-i", "-x", proxy.url, "http://10.1.2.3/")
    head, _, body = result.text.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 403")
    assert "proxy-status: underpass;error=destination_ip_prohibited" in head.lower()
    assert "10.1.2.3" in body


def test_closed_port_is_answered_502(curl: Curl, proxy: ProxyProcess) -> None:
    result = curl("-i", "-x", proxy.url, "http://127.0.0.1:1/")
    assert result.text.startswith("HTTP/1.1 502")
    assert "error=connection_refused" in result.text
