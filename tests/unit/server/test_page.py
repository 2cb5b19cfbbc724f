"""Answers, and how they are written."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from underpass.protocol.http.head import HTTP_10, HTTP_11, parse_response_head
from underpass.server.page import Page, page_head, reason_of, text_page


async def nothing() -> AsyncGenerator[bytes, None]:
    yield b""


def test_a_page_says_what_its_status_means() -> None:
    page = text_page(404)
    head = parse_response_head(page_head(page, HTTP_11, keep=True))
    assert (head.status, head.reason) == (404, b"Not Found")
    assert head.fields.get(b"content-length") == b"%d" % (page.size or 0)
    assert b"Not Found" in page.body if isinstance(page.body, bytes) else False
    assert b"date" in head.fields
    assert b"connection" not in head.fields


def test_a_page_that_comes_is_chunked_where_that_is_known() -> None:
    page = Page(200, body=nothing())
    assert b"chunked" in page_head(page, HTTP_11, keep=True)
    old = parse_response_head(page_head(page, HTTP_10, keep=False))
    assert b"transfer-encoding" not in old.fields
    assert old.fields.get(b"connection") == b"close"


def test_a_page_without_a_body_tells_no_length() -> None:
    assert b"ontent-" not in page_head(Page(204), HTTP_11, keep=True)


def test_an_unusual_status_has_no_words() -> None:
    assert reason_of(299) == b""
