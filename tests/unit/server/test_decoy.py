"""The site that has nothing."""

from __future__ import annotations

import pytest

from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import HTTP_11, RequestHead
from underpass.server.decoy import NothingHere
from underpass.server.page import text_page


@pytest.mark.parametrize("method", [b"GET", b"POST", b"PUT"])
async def test_nothing_is_found(method: bytes) -> None:
    head = RequestHead(method, b"/", HTTP_11, Fields())
    assert await NothingHere().answer(head, b"") == text_page(404)
