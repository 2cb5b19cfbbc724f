"""`FolderDecoy`: to strangers the server is a site of the files in a folder."""

from __future__ import annotations

import asyncio
import email.utils
import mimetypes
import os
import stat
import urllib.parse
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from underpass.errors import ConfigurationError, StreamError
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import RequestHead
from underpass.server.decoy import Decoy
from underpass.server.page import Page, text_page

INDEX = "index.html"

# What is read from the disk at once.
PIECE_BYTES = 64 * 1024

METHODS = b"GET, HEAD"


@dataclass(frozen=True, slots=True)
class _Found:
    """A file that a request is for, and when it was changed, in seconds since 1970."""

    path: Path
    size: int
    changed: float


class FolderDecoy(Decoy):
    """See the module. Hidden files and what links lead out of the folder are not found."""

    def __init__(self, folder: Path) -> None:
        """Raises `ConfigurationError` where there is no such folder."""
        try:
            self._root = folder.resolve(strict=True)
            os.scandir(self._root).close()
        except OSError as error:
            raise ConfigurationError(f"decoy: {folder}: {error.strerror}") from None

    async def answer(self, head: RequestHead, body: bytes) -> Page:
        if head.method not in (b"GET", b"HEAD"):
            return _with(text_page(405), b"Allow", METHODS)
        path = head.target.partition(b"?")[0]
        found = await asyncio.to_thread(self._find, path)
        if isinstance(found, Page):
            return found
        changed = email.utils.formatdate(found.changed, usegmt=True).encode("ascii")
        if head.fields.get(b"if-modified-since") == changed:
            return Page(304, Fields([(b"Last-Modified", changed)]))
        kind = mimetypes.guess_type(found.path.name)[0] or "application/octet-stream"
        fields = Fields([(b"Content-Type", kind.encode("ascii")), (b"Last-Modified", changed)])
        return Page(200, fields, _pieces(found), found.size)

    def _find(self, target: bytes) -> _Found | Page:
        """The file that a target is for, or the page that says why there is none. In a thread."""
        try:
            names = urllib.parse.unquote(target.decode("ascii"), errors="strict").split("/")
        except UnicodeError:
            return text_page(400)
        if not target.startswith(b"/") or any("\0" in name for name in names):
            return text_page(400)
        if any(name.startswith(".") for name in names):
            return text_page(404)
        try:
            path = self._root.joinpath(*names[1:]).resolve(strict=True)
            if path.is_dir():
                if names[-1]:
                    return _with(text_page(301), b"Location", target + b"/")
                path = (path / INDEX).resolve(strict=True)
            elif not names[-1]:
                return text_page(404)
            status = path.stat()
        except (OSError, RuntimeError):
            # RuntimeError: links in a circle.
            return text_page(404)
        if not path.is_relative_to(self._root) or not stat.S_ISREG(status.st_mode):
            return text_page(404)
        if not os.access(path, os.R_OK):
            return text_page(403)
        return _Found(path, status.st_size, status.st_mtime)


async def _pieces(found: _Found) -> AsyncGenerator[bytes, None]:
    """What the file held when it was found; opened late, as nobody may take it.

    Raises `StreamError` where it is gone, or shorter than it was.
    """
    left = found.size
    try:
        with await asyncio.to_thread(found.path.open, "rb") as file:
            while left:
                data = await asyncio.to_thread(file.read, min(left, PIECE_BYTES))
                if not data:
                    raise StreamError(f"{found.path} became shorter while it was sent")
                left -= len(data)
                yield data
    except OSError as error:
        raise StreamError(f"{found.path}: {error.strerror}") from error


def _with(page: Page, name: bytes, value: bytes) -> Page:
    return Page(page.status, page.fields.adding(name, value), page.body, page.length)
