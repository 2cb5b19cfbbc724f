"""Python's HTTP and WebSocket clients, told about the proxy as their users tell them."""

from __future__ import annotations

import hashlib
import os
import urllib.request
from collections.abc import Callable
from pathlib import Path

import aiohttp
import httpx
import pytest
import requests
from websockets.asyncio.client import connect

from tests.origins import Authority, HttpOrigin, LoopThread, pattern, websocket_origin
from tests.real.conftest import StartProxy
from tests.real.processes import ProxyProcess

pytestmark = pytest.mark.real

UPLOAD = b"".join(pattern(200_000))
UPLOAD_HASH = hashlib.sha256(UPLOAD).hexdigest()
DOWNLOAD = 300_000


@pytest.fixture(autouse=True)
def _own_proxies_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(params=["http", "https"])
def origin(request: pytest.FixtureRequest, plain: HttpOrigin, secure: HttpOrigin) -> HttpOrigin:
    """An HTTP origin, then an HTTPS one."""
    return plain if request.param == "http" else secure


def check(body: bytes, headers: Callable[[str], str | None], upload: dict[str, object]) -> None:
    """A download and an upload were carried whole."""
    assert len(body) == DOWNLOAD
    assert hashlib.sha256(body).hexdigest() == headers("X-SHA256")
    assert (upload["length"], upload["sha256"]) == (len(UPLOAD), UPLOAD_HASH)


def test_requests_is_served(proxy: ProxyProcess, origin: HttpOrigin, authority: Authority) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.proxies = {"http": proxy.url, "https": proxy.url}
        session.verify = str(authority.ca_file)
        got = session.get(f"{origin.url}/bytes/{DOWNLOAD}", timeout=10)
        put = session.put(f"{origin.url}/upload", data=UPLOAD, timeout=10)
    check(got.content, got.headers.get, put.json())
    assert origin.connections == 1


def test_urllib_is_served(proxy: ProxyProcess, origin: HttpOrigin, authority: Authority) -> None:
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({"http": proxy.url, "https": proxy.url}),
        urllib.request.HTTPSHandler(context=authority.client_context()),
    )
    with opener.open(f"{origin.url}/bytes/{DOWNLOAD}", timeout=10) as got:
        assert hashlib.sha256(got.read()).hexdigest() == got.headers["X-SHA256"]
    with opener.open(f"{origin.url}/upload", data=UPLOAD, timeout=10) as put:
        assert UPLOAD_HASH.encode() in put.read()


async def test_httpx_is_served(
    proxy: ProxyProcess, origin: HttpOrigin, authority: Authority
) -> None:
    context = authority.client_context()
    async with httpx.AsyncClient(proxy=proxy.url, verify=context, trust_env=False) as client:
        got = await client.get(f"{origin.url}/bytes/{DOWNLOAD}")
        put = await client.put(f"{origin.url}/upload", content=UPLOAD)
    check(got.content, got.headers.get, put.json())


async def test_httpx_is_refused_with_the_status(proxy: ProxyProcess) -> None:
    async with httpx.AsyncClient(proxy=proxy.url, trust_env=False) as client:
        assert (await client.get("http://192.168.1.1/")).status_code == 403
        with pytest.raises(httpx.ProxyError, match="403"):
            await client.get("https://192.168.1.1/")


async def test_aiohttp_is_served(
    proxy: ProxyProcess, origin: HttpOrigin, authority: Authority
) -> None:
    connector = aiohttp.TCPConnector(ssl=authority.client_context())
    async with aiohttp.ClientSession(connector=connector, proxy=proxy.url) as session:
        async with session.get(f"{origin.url}/bytes/{DOWNLOAD}") as got:
            body = await got.read()
        async with session.put(f"{origin.url}/upload", data=UPLOAD) as put:
            check(body, got.headers.get, await put.json())


async def test_aiohttp_authenticates(
    start_proxy: StartProxy,
    user_command: Callable[..., str],
    state: Path,
    origin: HttpOrigin,
    authority: Authority,
) -> None:
    user_command("add", "bob", stdin="sesame\n")
    proxy = start_proxy("--allow", "127.0.0.0/8", "--auth", "basic", "--state", state)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=authority.client_context()),
        proxy=proxy.url.replace("://", "://bob:sesame@"),
    ) as session:
        for _ in range(3):
            async with session.get(f"{origin.url}/bytes/10") as got:
                assert len(await got.read()) == 10


async def test_websocket_is_upgraded_through_a_forwarded_request(
    proxy: ProxyProcess, origins: LoopThread
) -> None:
    # aiohttp asks a proxy by GET with Upgrade; most others by CONNECT.
    with origins.within(websocket_origin()) as url:
        async with (
            aiohttp.ClientSession(proxy=proxy.url) as session,
            session.ws_connect(url.replace("ws:", "http:")) as channel,
        ):
            for message in ("hello", "x" * 100_000):
                await channel.send_str(message)
                assert await channel.receive_str(timeout=10) == message
    assert "GET " in proxy.wait_for_line(" 101 ")


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
async def test_websocket_is_carried_through_connect(
    proxy: ProxyProcess, origins: LoopThread, authority: Authority, tls: bool
) -> None:
    server = authority.server_context() if tls else None
    client = authority.client_context() if tls else None
    with origins.within(websocket_origin(server)) as url:
        async with connect(url, proxy=proxy.url, ssl=client) as channel:
            for message in (b"hello", b"x" * 100_000):
                await channel.send(message)
                assert await channel.recv() == message
    assert proxy.wait_for_line("CONNECT")
