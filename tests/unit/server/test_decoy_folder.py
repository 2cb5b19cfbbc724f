"""A folder as a web site: its files and nothing else, whatever is asked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from underpass.errors import ConfigurationError, StreamError
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import HTTP_11, RequestHead
from underpass.server.decoy_folder import PIECE_BYTES, FolderDecoy
from underpass.server.page import Page

LARGE = os.urandom(2 * PIECE_BYTES + 1)


@pytest.fixture
def site(tmp_path: Path) -> FolderDecoy:
    root = tmp_path / "site"
    (root / "a b").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "index.html").write_text("<p>home</p>")
    (root / "a b" / "index.html").write_text("<p>a b</p>")
    (root / "style.css").write_text("p {}")
    (root / "large").write_bytes(LARGE)
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("hidden")
    (tmp_path / "secret.txt").write_text("secret")
    (root / "out").symlink_to(tmp_path / "secret.txt")
    (root / "circle").symlink_to(root / "circle")
    os.mkfifo(root / "fifo")
    return FolderDecoy(root)


def head(target: str, method: bytes = b"GET", *fields: tuple[bytes, bytes]) -> RequestHead:
    return RequestHead(
        method, target.encode("latin-1"), HTTP_11, Fields([(b"Host", b"a"), *fields])
    )


async def body_of(page: Page) -> bytes:
    if isinstance(page.body, bytes):
        return page.body
    return b"".join([piece async for piece in page.body])


@pytest.mark.parametrize(
    ("target", "kind", "body"),
    [
        ("/", b"text/html", b"<p>home</p>"),
        ("/?query", b"text/html", b"<p>home</p>"),
        ("/index.html", b"text/html", b"<p>home</p>"),
        ("/style.css", b"text/css", b"p {}"),
        ("/a%20b/", b"text/html", b"<p>a b</p>"),
        ("//style.css", b"text/css", b"p {}"),
        ("/large", b"application/octet-stream", LARGE),
    ],
)
async def test_files_are_what_they_are(
    site: FolderDecoy, target: str, kind: bytes, body: bytes
) -> None:
    page = await site.answer(head(target), b"")
    assert page.status == 200
    assert page.fields.get(b"content-type") == kind
    assert page.size == len(body)
    assert await body_of(page) == body


@pytest.mark.parametrize(
    "target",
    [
        "/none",
        "/empty/",
        "/style.css/",
        "/.git/config",
        "/a%20b/../.git/config",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/%2e%2e%2fsecret.txt",
        "/out",
        "/circle",
        "/fifo",
        "/" + "x" * 5000,
        "/TOKEN/0/DATA",
    ],
)
async def test_nothing_else_is_found(site: FolderDecoy, target: str) -> None:
    page = await site.answer(head(target), b"")
    assert page.status == 404
    assert b"secret" not in await body_of(page)


@pytest.mark.parametrize("target", ["/%ff", "/a%00b", "*", "a.example:443"])
async def test_what_is_no_path_is_told(site: FolderDecoy, target: str) -> None:
    assert (await site.answer(head(target), b"")).status == 400


async def test_a_folder_is_asked_for_with_a_slash(site: FolderDecoy) -> None:
    page = await site.answer(head("/a%20b"), b"")
    assert (page.status, page.fields.get(b"location")) == (301, b"/a%20b/")


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"OPTIONS"])
async def test_files_are_for_reading(site: FolderDecoy, method: bytes) -> None:
    page = await site.answer(head("/", method), b"body")
    assert (page.status, page.fields.get(b"allow")) == (405, b"GET, HEAD")


async def test_head_tells_the_length(site: FolderDecoy) -> None:
    page = await site.answer(head("/style.css", b"HEAD"), b"")
    assert (page.status, page.size) == (200, 4)


async def test_what_has_not_changed_is_not_sent_again(site: FolderDecoy) -> None:
    page = await site.answer(head("/style.css"), b"")
    changed = page.fields.get(b"last-modified") or b""
    again = await site.answer(head("/style.css", b"GET", (b"If-Modified-Since", changed)), b"")
    assert (again.status, again.body) == (304, b"")


async def test_a_file_that_shrinks_while_it_is_sent_is_cut(
    site: FolderDecoy, tmp_path: Path
) -> None:
    page = await site.answer(head("/large"), b"")
    (tmp_path / "site" / "large").write_bytes(b"short")
    with pytest.raises(StreamError, match="became shorter"):
        await body_of(page)


async def test_a_file_that_goes_before_it_is_sent_is_cut(site: FolderDecoy, tmp_path: Path) -> None:
    page = await site.answer(head("/large"), b"")
    (tmp_path / "site" / "large").unlink()
    with pytest.raises(StreamError, match="No such file"):
        await body_of(page)


async def test_a_file_that_may_not_be_read_is_told(
    site: FolderDecoy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert (await site.answer(head("/style.css"), b"")).status == 403


@pytest.mark.parametrize("name", ["none", "file"])
def test_what_is_no_folder_stops_the_start(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="decoy: "):
        FolderDecoy(tmp_path / name)
