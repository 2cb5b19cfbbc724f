"""Plain requests through an upstream proxy whose login is bound to the stream it is made on."""

from __future__ import annotations

import asyncio
import urllib.parse

import pytest

from tests.unit.frontends.http.dialogue import RawClient, field_of, stage
from tests.unit.outbound.guarded_parents import (
    ANSWER,
    CORP,
    WRONG,
    GuardedParent,
    TokenGuard,
    accounts,
)
from tests.unit.outbound.relaying import server
from underpass.protocol.http.digest import Login

__all__ = ["accounts"]

pytestmark = pytest.mark.usefixtures("accounts")

SCHEMES = ["NTLM", "Negotiate"]
GET = b"GET http://site.example/page HTTP/1.1\r\nHost: site.example\r\n\r\n"


def via(port: int, login: Login = CORP) -> str:
    user, password = (urllib.parse.quote(one, safe="") for one in (login.user, login.password))
    return f"http://{user}:{password}@127.0.0.1:{port}"


async def fetched(client: RawClient) -> None:
    await client.say(GET)
    assert (await client.response())[1] == b"hi"


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_stream_is_logged_in_once_and_kept(scheme: str) -> None:
    parent = GuardedParent(lambda: TokenGuard(scheme))
    async with server(parent) as port, stage(via=via(port)) as s, s.client() as client:
        for _ in range(3):
            await fetched(client)
    # The first stream was only told what is wanted.
    assert (parent.streams, parent.logins, len(parent.let_in)) == (2, 2, 3)
    methods = [head.split(b" ")[0] for head in parent.heads]
    assert methods == [b"GET", b"HEAD", b"GET", b"GET", b"GET"]


async def test_clients_of_one_user_share_streams_and_others_have_their_own() -> None:
    parent = GuardedParent(lambda: TokenGuard("NTLM"))
    async with server(parent) as port, stage(via=via(port)) as s:
        for _ in range(2):
            async with s.client() as client:
                await fetched(client)
        assert parent.streams == 2
        async with s.client() as one, s.client() as other:
            await asyncio.gather(fetched(one), fetched(other))
        assert parent.streams == 3


@pytest.mark.parametrize("size", [10, 10_000, 200_000])
async def test_a_body_goes_with_the_last_leg_and_is_sent_once(size: int) -> None:
    parent = GuardedParent(lambda: TokenGuard("NTLM"))
    post = (
        b"POST http://other.example/ HTTP/1.1\r\nHost: other.example\r\nContent-Length: %d\r\n\r\n"
    )
    async with server(parent) as port, stage(via=via(port)) as s, s.client() as client:
        await fetched(client)
        # To another server, so over another stream.
        await client.say(post % size + b"x" * size)
        assert (await client.response())[1] == b"hi"
    posts = [head for head in parent.heads if head.startswith(b"POST ")]
    assert len(posts) == 1
    assert b"\r\nProxy-Authorization: NTLM " in posts[0]


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_login_that_expires_is_made_again(scheme: str) -> None:
    parent = GuardedParent(lambda: TokenGuard(scheme, requests=2))
    async with server(parent) as port, stage(via=via(port)) as s, s.client() as client:
        for _ in range(7):
            await fetched(client)
    assert sum(head.startswith(b"GET ") for head in parent.let_in) == 7


async def test_a_wrong_password_is_shown_three_times_and_no_more() -> None:
    parent = GuardedParent(lambda: TokenGuard("NTLM"))
    async with server(parent) as port, stage(via=via(port, WRONG)) as s, s.client() as client:
        for _ in range(4):
            await client.say(GET)
            head, body = await client.response()
            assert head.startswith(b"HTTP/1.1 502 ")
        assert b"not tried again" in body
        assert WRONG.password.encode() not in body
    # Two legs each; the second of them shows the password.
    assert parent.logins == 6


async def test_a_parent_that_closes_after_each_407_is_given_up() -> None:
    parent = GuardedParent(lambda: TokenGuard("NTLM"), closes=True)
    async with server(parent) as port, stage(via=via(port)) as s, s.client() as client:
        await client.say(GET)
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 502 ")
        assert b"received-status=407" in (field_of(head, b"proxy-status") or b"")
    assert parent.streams <= 8


async def test_a_parent_that_lets_the_rehearsal_pass_is_asked_as_usual() -> None:
    """It asks once in a while, and knows this machine by its address until then."""
    heads: list[bytes] = []

    async def knowing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            heads.append(head)
            challenge = (
                b"HTTP/1.1 407 Who?\r\nProxy-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n"
            )
            answer = ANSWER if head.startswith(b"GET ") else ANSWER[: -len(b"hi")]
            writer.write(challenge if len(heads) == 1 else answer)

    async with server(knowing) as port, stage(via=via(port)) as s, s.client() as client:
        await fetched(client)
    assert [head.split(b" ")[0] for head in heads] == [b"GET", b"HEAD", b"GET"]


async def test_a_parent_that_goes_in_circles_is_given_up() -> None:
    streams = 0

    async def circling(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal streams
        streams += 1
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            challenge = (
                b"HTTP/1.1 407 Who?\r\nProxy-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n"
            )
            writer.write(challenge if head.startswith(b"GET ") else ANSWER[: -len(b"hi")])

    async with server(circling) as port, stage(via=via(port)) as s, s.client() as client:
        await client.say(GET)
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 502 ")
    assert streams <= 16
