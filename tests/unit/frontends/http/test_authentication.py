"""Who a client is: asked at every request, and nothing of one user's reaches another."""

from __future__ import annotations

import asyncio
import base64

import pytest

from tests.unit.frontends.http.dialogue import Dialled, RawClient, bench, field_of, origin
from underpass.access import Principal
from underpass.errors import Failure, Forbidden
from underpass.frontends.http.authentication import ANONYMOUS, Throttled
from underpass.protocol.http.credentials import Basic, Bearer


class Anybody:
    """Believes everybody whose password is right."""

    challenges = (b'Basic realm="here"',)
    binds_connection = False

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def authenticate(self, credentials: Basic | Bearer, client: str) -> Principal | None:
        assert isinstance(credentials, Basic)
        self.asked.append((credentials.user, client))
        return Principal(credentials.user) if credentials.password == "right" else None


def get(name: bytes, user: str, password: str = "right") -> bytes:
    token = base64.b64encode(f"{user}:{password}".encode())
    credentials = b"Proxy-Authorization: Basic %s\r\n" % token
    return b"GET http://%s/ HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (name, name, credentials)


async def ok(visitor: RawClient) -> None:
    while True:
        head = await visitor.head()
        assert b"proxy-authorization" not in head.lower()
        await visitor.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def test_nobody_in_particular_has_a_name_that_no_user_can_have() -> None:
    assert ANONYMOUS.name == "(anonymous)"
    assert Throttled(2.4).retry_after == 2.4
    assert str(Throttled(2.4)) == "retry after 2 s"


async def test_every_request_is_asked_and_server_streams_are_not_shared() -> None:
    outbound, users = Dialled(), Anybody()
    async with origin(ok) as there, bench(outbound, authenticator=users) as b:
        async with b.client() as client:
            for user in ("alice", "bob", "alice", "bob"):
                await client.say(get(there.name, user))
                assert (await client.response())[1] == b"ok"
        # Each has one stream of their own, though they share the client's.
        assert there.accepted == 2
        assert [user for user, _ in users.asked] == ["alice", "bob", "alice", "bob"]
        assert [b.records[i].user for i in range(4)] == ["alice", "bob", "alice", "bob"]
        assert there.problems == []


async def test_credentials_count_for_their_own_request_only() -> None:
    async with origin(ok) as there, bench(Dialled(), authenticator=Anybody()) as b:
        async with b.client() as client:
            await client.say(get(there.name, "alice"))
            await client.response()
            await client.say(b"GET http://%s/ HTTP/1.1\r\nHost: h\r\n\r\n" % there.name)
            assert (await client.response())[0].startswith(b"HTTP/1.1 407 ")
            await client.say(get(there.name, "alice", "wrong"))
            assert (await client.response())[0].startswith(b"HTTP/1.1 407 ")
        assert (await b.record(2)).user == "-"


@pytest.mark.parametrize("failure", [Failure.FORBIDDEN, Failure.IP_PROHIBITED])
async def test_who_is_known_but_not_allowed_is_not_asked_again(failure: Failure) -> None:
    outbound = Dialled(Forbidden(failure, "h:80: denied"))
    async with bench(outbound, authenticator=Anybody()) as b, b.client() as client:
        await client.say(get(b"h", "alice"))
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 403 ")
        assert b"proxy-authenticate" not in head.lower()
        assert failure.proxy_error.encode() in (field_of(head, b"proxy-status") or b"")
        assert (await b.record()).user == "alice"


async def test_requests_for_the_proxy_itself_are_asked_too() -> None:
    async with bench(Dialled(), authenticator=Anybody()) as b, b.client() as client:
        await client.say(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await client.response())[0].startswith(b"HTTP/1.1 407 ")


async def test_a_bound_407_to_connect_ends_where_bytes_came_in_the_meantime() -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Anybody):
        binds_connection = True

        async def authenticate(self, credentials: Basic | Bearer, client: str) -> Principal | None:
            asked.set()
            await go_on.wait()
            return None

    async with bench(Dialled(), authenticator=Slow()) as b, b.client() as client:
        credentials = b"Proxy-Authorization: Basic YTpi\r\n"
        await client.say(b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n%s\r\n" % credentials)
        await asked.wait()
        await client.say(b"early")
        # Loopback has delivered it when the loop has looked at its sockets once more.
        for _ in range(3):
            await asyncio.sleep(0.001)
        go_on.set()
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 407 ")
        assert field_of(head, b"connection") == b"close"
        assert await client.rest() == b""
