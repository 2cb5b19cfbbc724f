"""A bug of ours as a client sees it: a 500 or a cut; nobody else's stream ends."""

from __future__ import annotations

import pytest

from tests.unit.frontends.http.dialogue import RawClient, field_of, origin, stage
from underpass.access import Principal
from underpass.protocol.http.credentials import Basic, Bearer

CREDENTIALS = b"Proxy-Authorization: Basic YTpi\r\n"


class Broken:
    """An authenticator with a bug in it."""

    challenges = (b'Basic realm="underpass"',)
    binds_connection = False

    async def authenticate(self, credentials: Basic | Bearer, client: str) -> Principal | None:
        raise ZeroDivisionError("the bug")


async def silent(visitor: RawClient) -> None:
    await visitor.rest()


async def test_a_bug_is_a_500_and_the_end_of_the_stream(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with origin(silent) as there, stage(authenticator=Broken()) as s, s.client() as client:
        await client.say(b"CONNECT %s HTTP/1.1\r\nHost: h\r\n%s\r\n" % (there.name, CREDENTIALS))
        head, body = await client.response()
        assert head.startswith(b"HTTP/1.1 500 ")
        assert b"error=proxy_internal_error" in (field_of(head, b"proxy-status") or b"")
        assert b"the bug" not in head + body
        assert await client.rest() == b""
        record = await s.record()
        assert (record.status, record.reason) == (500, "internal error")
        assert "ZeroDivisionError: the bug" in caplog.text
        assert there.accepted == 0
