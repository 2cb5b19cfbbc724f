"""Bodies too long to be kept, through upstream proxies that want a login first."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.unit.frontends.http.dialogue import RawClient, field_of, stage
from tests.unit.outbound.guarded_parents import (
    CORP,
    BasicGuard,
    DigestGuard,
    Guard,
    GuardedParent,
    TokenGuard,
    accounts,
)
from tests.unit.outbound.relaying import server
from tests.unit.testing.middlebox.dialogue import walk
from underpass.frontends.http.upload import REPEATABLE_BYTES
from underpass.observe import Counter
from underpass.testing.middlebox import Behaviour
from underpass.testing.middlebox.behaviour import Login as BoxLogin

__all__ = ["accounts"]

SIZE = 5_000_000
LONG = b"x" * (REPEATABLE_BYTES + 1)
URL = b"http://site.example/form"
GET = b"GET http://site.example/form HTTP/1.1\r\nHost: site.example\r\n\r\n"
CHUNKED = (
    b"POST http://site.example/form HTTP/1.1\r\nHost: site.example\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
EXPECTING = b"Expect: 100-continue\r\n"


def via(port: int, user: str = "CORP%5Ccarol:open%20sesame") -> str:
    return f"http://{user}@127.0.0.1:{port}"


def nobody(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def post(body: bytes, fields: bytes = b"", url: bytes = URL) -> bytes:
    head = b"POST %s HTTP/1.1\r\nHost: site.example\r\nContent-Length: %d\r\n%s\r\n"
    return head % (url, len(body), fields) + body


async def answered(client: RawClient, request: bytes) -> None:
    """`request` is sent whole, and gets the origin's answer."""
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(client.say(request))
        head, body = await client.response()
        assert (head[:12], body) == (b"HTTP/1.1 200", b"hi"), head
        await sending


def methods(parent: GuardedParent) -> list[bytes]:
    return [head.split(b" ")[0] for head in parent.heads]


def shared(guard: Guard) -> GuardedParent:
    """A parent that asks for the same on all its streams, and reads no body that it refused."""
    return GuardedParent(lambda: guard, leaves_bodies=True)


# --- as the first request of all


async def test_the_first_request_learns_of_basic_before_its_body_goes() -> None:
    parent = shared(BasicGuard(CORP))
    async with server(parent) as port, stage(via=via(port)) as s, s.client() as client:
        await answered(client, post(LONG))
        # A HEAD is asked, and one lets the login prove itself.
        assert methods(parent) == [b"HEAD", b"HEAD", b"POST"]
        await answered(client, post(LONG))
        # What is known is not asked for again, and the stream that was kept is used.
        assert methods(parent)[3:] == [b"POST"]
        assert parent.streams == 1


async def test_the_first_request_learns_of_digest_before_its_body_goes() -> None:
    parent = shared(DigestGuard(CORP))
    async with server(parent) as port, stage(via=via(port)) as s, s.client() as client:
        await answered(client, post(LONG))
    assert methods(parent) == [b"HEAD", b"HEAD", b"POST"]


@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize("scheme", ["NTLM", "Negotiate"])
async def test_the_first_request_logs_its_stream_in_before_its_body_goes(scheme: str) -> None:
    parent = GuardedParent(lambda: TokenGuard(scheme), leaves_bodies=True)
    async with server(parent) as port, stage(via=via(port)) as s, s.client() as client:
        await answered(client, post(LONG))
    assert methods(parent) == [b"HEAD", b"HEAD", b"HEAD", b"POST"]
    assert parent.streams == 1


@pytest.mark.parametrize("guard", [BasicGuard(CORP), DigestGuard(CORP)], ids=["Basic", "Digest"])
async def test_a_parent_may_close_after_each_407(guard: Guard) -> None:
    parent = GuardedParent(lambda: guard, closes=True)
    async with server(parent) as port, stage(via=via(port)) as s, s.client() as client:
        await answered(client, post(LONG))
    assert sum(head.startswith(b"POST ") for head in parent.heads) == 1


async def test_a_body_of_unknown_length_is_taken_for_a_long_one() -> None:
    got: list[bytes] = []

    async def parent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            got.append(head.split(b" ")[0])
            if head.startswith(b"POST "):
                got.append(await reader.readuntil(b"0\r\n\r\n"))
                writer.write(OK)
            elif b"\r\nProxy-Authorization: Basic " in head:
                writer.write(OK[: -len(b"hi")])
            else:
                challenge = b'Proxy-Authenticate: Basic realm="p"'
                writer.write(b"HTTP/1.1 407 Who?\r\n%s\r\nContent-Length: 0\r\n\r\n" % challenge)

    async with server(parent) as port, stage(via=via(port)) as s, s.client() as client:
        await answered(client, CHUNKED)
    assert got == [b"HEAD", b"HEAD", b"POST", b"5\r\nhello\r\n0\r\n\r\n"]


async def test_a_short_body_goes_at_once_and_is_sent_again() -> None:
    parent = GuardedParent(lambda: BasicGuard(CORP))
    async with server(parent) as port, stage(via=via(port)) as s, s.client() as client:
        await answered(client, post(LONG[1:]))
    assert methods(parent) == [b"POST", b"POST"]


async def test_a_client_that_expects_100_is_not_kept_waiting_for_ever() -> None:
    parent = shared(BasicGuard(CORP))
    async with server(parent) as port, stage(via=via(port)) as s, s.client() as client:
        await answered(client, post(LONG, EXPECTING))
    assert sum(head.startswith(b"POST ") for head in parent.heads) == 1


async def test_a_parent_that_asks_for_nothing_is_asked_once() -> None:
    class Open(Guard):
        def ask(self, head: bytes) -> list[bytes] | None:
            return None

    parent = shared(Open())
    async with server(parent) as port, stage(via=via(port)) as s, s.client() as client:
        await answered(client, post(LONG))
        await answered(client, post(LONG))
        assert s.counters.value(Counter.POOL_REUSED) == 1
    assert methods(parent) == [b"HEAD", b"POST", b"POST"]


async def test_without_a_login_nothing_is_rehearsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("underpass.outbound.account.has_tickets", lambda: False)
    parent = shared(BasicGuard(CORP))
    async with server(parent) as port, stage(via=nobody(port)) as s, s.client() as client:
        await client.say(post(LONG))
        head, body = await client.response()
        assert head.startswith(b"HTTP/1.1 502 ")
        assert b"it wants a login" in body
    assert methods(parent) == [b"POST"]


async def test_a_wrong_password_is_told_before_the_body_goes() -> None:
    parent = shared(BasicGuard(CORP))
    async with (
        server(parent) as port,
        stage(via=via(port, "carol:wrong")) as s,
        s.client() as client,
    ):
        await client.say(post(LONG, EXPECTING).removesuffix(LONG))
        head, body = await client.response()
        assert head.startswith(b"HTTP/1.1 502 ")
        assert b"received-status=407" in (field_of(head, b"proxy-status") or b"")
        assert b"the user or the password is wrong" in body
    assert b"POST" not in methods(parent)


# --- later ones


async def test_a_long_body_has_a_nonce_of_its_own() -> None:
    # A nonce is good for two requests: with the one that others use up the body would be refused.
    parent = shared(DigestGuard(CORP, requests=2))
    async with server(parent) as port, stage(via=via(port)) as s, s.client() as client:
        await answered(client, GET)
        for _ in range(3):
            await answered(client, GET)
            await answered(client, post(LONG))
    posts = [head for head in parent.heads if head.startswith(b"POST ")]
    assert len(posts) == 3
    # The HEAD that fetches a nonce comes no further than to the parent.
    assert [head.split(b" ")[0] for head in parent.let_in] == [b"GET"] + [b"GET", b"POST"] * 3


@pytest.mark.usefixtures("accounts")
async def test_a_long_body_does_not_trust_a_login_that_may_have_expired() -> None:
    parent = GuardedParent(lambda: TokenGuard("NTLM", requests=2), leaves_bodies=True)
    async with server(parent) as port, stage(via=via(port)) as s, s.client() as client:
        for _ in range(3):
            await answered(client, GET)
            await answered(client, post(LONG))
    assert sum(head.startswith(b"POST ") for head in parent.heads) == 3


@pytest.mark.usefixtures("accounts")
async def test_a_stream_that_the_origin_knows_this_client_by_is_kept_to() -> None:
    """An origin's own NTLM: its last leg goes over the stream of the ones before, body or not."""
    heads: list[bytes] = []

    async def parent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            if b"\r\nAuthorization: NTLM three" in heads[-1]:
                await reader.readexactly(len(LONG))
                writer.write(OK)
                continue
            challenge = b"WWW-Authenticate: NTLM two"
            writer.write(b"HTTP/1.1 401 Who?\r\n%s\r\nContent-Length: 0\r\n\r\n" % challenge)

    async with server(parent) as port, stage(via=via(port)) as s, s.client() as client:
        await client.say(post(b"", b"Authorization: NTLM one\r\n"))
        assert (await client.response())[0].startswith(b"HTTP/1.1 401 ")
        await answered(client, post(LONG, b"Authorization: NTLM three\r\n"))
        assert s.counters.value(Counter.DIALS) == 1
    assert [head.split(b" ")[0] for head in heads] == [b"POST", b"POST"]


# --- through a box that reads what it refuses, to its end


@pytest.mark.slow
@pytest.mark.parametrize("login", [BoxLogin.BASIC, BoxLogin.DIGEST, BoxLogin.NTLM])
@pytest.mark.parametrize("expire_after", [0, 3])
async def test_five_megabytes_go_through_a_box_that_wants_a_login(
    login: BoxLogin, expire_after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = tmp_path / "users"
    users.write_text("CORP:carol:open sesame\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(users))
    user = "CORP\\carol" if login is BoxLogin.NTLM else "carol"
    behaviour = Behaviour(login=login, user=user, password="open sesame", expire_after=expire_after)
    sizes: list[int] = []

    async def script(visitor: RawClient) -> None:
        head = await visitor.head()
        size = int(field_of(head, b"content-length") or b"0")
        assert len(await visitor.exactly(size)) == size
        sizes.append(size)
        await visitor.say(OK if not head.startswith(b"HEAD ") else OK[: -len(b"hi")])

    async with walk(behaviour, script) as w:
        named = user.replace("\\", "%5C")
        upstream = f"http://{named}:open%20sesame@{w.box.address}"
        url = b"http://%s/form" % w.origin.name
        async with stage(via=upstream) as s, s.client() as client:
            for _ in range(2):
                await answered(client, post(b"x" * SIZE, url=url))
    assert [size for size in sizes if size] == [SIZE, SIZE]
