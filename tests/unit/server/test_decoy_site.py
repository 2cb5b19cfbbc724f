"""Another site as a decoy: its answers as they are, and no trace of who asked it."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.unit.frontends.http.dialogue import RawClient, Script, origin
from underpass.errors import ConfigurationError, StreamError
from underpass.net.resolve import Resolver
from underpass.outbound.direct import Direct
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import HTTP_10, HTTP_11, RequestHead
from underpass.server import decoy_site
from underpass.server.decoy_site import SiteDecoy
from underpass.server.page import Page

OK = b"HTTP/1.1 200 OK\r\nServer: site\r\nDate: then\r\nContent-Length: 4\r\n\r\npage"


def head(target: bytes, method: bytes = b"GET", *fields: tuple[bytes, bytes]) -> RequestHead:
    return RequestHead(method, target, HTTP_11, Fields([(b"Host", b"us.example"), *fields]))


def answering(answer: bytes, seen: list[bytes], body: int = 0) -> Script:
    """An origin's script: read one request, answer, end."""

    async def script(visitor: RawClient) -> None:
        seen.append(await visitor.head())
        seen.append(await visitor.exactly(body))
        await visitor.say(answer)

    return script


def decoy(port: int, path: str = "") -> SiteDecoy:
    return SiteDecoy(f"http://127.0.0.1:{port}{path}", Direct(Resolver(5.0)).open)


async def body_of(page: Page) -> bytes:
    assert not isinstance(page.body, bytes)
    try:
        return b"".join([piece async for piece in page.body])
    finally:
        await page.body.aclose()


async def test_the_sites_answer_is_passed_on(seen: list[bytes]) -> None:
    async with origin(answering(OK, seen)) as there:
        request = head(b"/a?b", b"GET", (b"Accept", b"text/html"), (b"Cookie", b"c=1"))
        page = await decoy(there.port).answer(request, b"")
        assert (page.status, page.size) == (200, 4)
        assert page.fields == Fields([(b"Server", b"site")])
        assert await body_of(page) == b"page"
    assert seen[0] == (
        b"GET /a?b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: text/html\r\nCookie: c=1\r\n"
        b"Connection: close\r\n\r\n" % there.port
    )


@pytest.fixture
def seen() -> list[bytes]:
    return []


async def test_a_body_is_passed_on_whole(seen: list[bytes]) -> None:
    async with origin(answering(OK, seen, 4)) as there:
        request = head(b"/a", b"PUT", (b"Content-Length", b"4"), (b"Expect", b"100-continue"))
        page = await decoy(there.port).answer(request, b"body")
        assert await body_of(page) == b"page"
    assert b"Content-Length: 4\r\n" in seen[0]
    assert b"Expect" not in seen[0]
    assert seen[1] == b"body"


async def test_what_is_for_a_proxy_is_asked_of_the_site_all_the_same(seen: list[bytes]) -> None:
    async with origin(answering(OK, seen)) as there:
        page = await decoy(there.port).answer(head(b"http://other.example/a"), b"")
        assert await body_of(page) == b"page"
    assert seen[0].startswith(b"GET /a HTTP/1.1\r\nHost: 127.0.0.1:")


async def test_the_path_of_the_site_stands_before(seen: list[bytes]) -> None:
    async with origin(answering(OK, seen)) as there:
        await body_of(await decoy(there.port, "/blog/").answer(head(b"/a"), b""))
    assert seen[0].startswith(b"GET /blog/a HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("answer", "size", "body"),
    [
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npage\r\n0\r\n\r\n",
            None,
            b"page",
        ),
        (b"HTTP/1.0 200 OK\r\n\r\npage", None, b"page"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 4, b"page"),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", 0, b""),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 0, b""),
    ],
)
async def test_answers_of_every_framing_are_read(
    answer: bytes, size: int | None, body: bytes, seen: list[bytes]
) -> None:
    async with origin(answering(answer, seen)) as there:
        page = await decoy(there.port).answer(head(b"/"), b"")
        assert page.size == size
        assert await body_of(page) == body


async def test_head_tells_the_length_of_what_a_get_would_bring(seen: list[bytes]) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"
    async with origin(answering(answer, seen)) as there:
        page = await decoy(there.port).answer(head(b"/", b"HEAD"), b"")
        assert page.size == 7
        assert await body_of(page) == b""


async def test_an_answer_that_is_cut_is_cut_here(seen: list[bytes]) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\npag"
    async with origin(answering(answer, seen)) as there:
        page = await decoy(there.port).answer(head(b"/"), b"")
        with pytest.raises(StreamError):
            await body_of(page)


async def test_a_body_that_nobody_takes_frees_the_stream() -> None:
    ended = asyncio.Event()

    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            await visitor.rest()
        ended.set()

    async with asyncio.timeout(5), origin(script) as there:
        page = await decoy(there.port).answer(head(b"/"), b"")
        assert not isinstance(page.body, bytes)
        await page.body.aclose()
        await ended.wait()


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"])
async def test_a_site_that_is_broken_is_told(answer: bytes, seen: list[bytes]) -> None:
    async with origin(answering(answer, seen)) as there:
        assert (await decoy(there.port).answer(head(b"/"), b"")).status == 502


async def test_a_site_that_is_not_there_is_told() -> None:
    async with origin(answering(OK, [])) as there:
        port = there.port
    assert (await decoy(port).answer(head(b"/"), b"")).status == 502


async def test_a_site_that_says_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(visitor: RawClient) -> None:
        await visitor.rest()

    monkeypatch.setattr(decoy_site, "ANSWER_SECONDS", 0.01)
    async with origin(silent) as there:
        assert (await decoy(there.port).answer(head(b"/"), b"")).status == 504


async def test_what_is_no_request_for_a_site_is_not_passed_on(seen: list[bytes]) -> None:
    async with origin(answering(OK, seen)) as there:
        it = decoy(there.port)
        assert (await it.answer(head(b"a.example:443", b"CONNECT"), b"")).status == 405
        assert (await it.answer(head(b"nonsense"), b"")).status == 400
        old = RequestHead(b"OPTIONS", b"*", HTTP_10, Fields())
        await body_of(await it.answer(old, b""))
    assert [one.split(b"\r\n")[0] for one in seen if one] == [b"OPTIONS / HTTP/1.1"]


@pytest.mark.parametrize(
    "url", ["http://", "http://a:x", "http://me:pw@a", "ftp://a", "http://a?q"]
)
def test_what_is_no_site_stops_the_start(url: str) -> None:
    with pytest.raises(ConfigurationError, match="decoy: "):
        decoy_site.SiteDecoy(url, Direct(Resolver(5.0)).open)
