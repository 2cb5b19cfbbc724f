"""What any visitor of the server finds: by default a small site that has nothing there."""

from __future__ import annotations

from typing import Protocol

from underpass.protocol.http.head import RequestHead
from underpass.server.page import Page, text_page


class Decoy(Protocol):
    """The web site that the server is to strangers."""

    async def answer(self, head: RequestHead, body: bytes) -> Page:
        """The answer to a request, whose whole body is `body`. Raises nothing."""


class NothingHere(Decoy):
    """A site on which nothing is found."""

    async def answer(self, head: RequestHead, body: bytes) -> Page:
        return text_page(404)
