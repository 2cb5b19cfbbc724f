"""Plain requests through an upstream proxy: what it is sent, and what the client sees of it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable

import pytest

from tests.unit.frontends.http.dialogue import RawClient, Script, field_of, origin, stage
from underpass.access import Effect, Rule
from underpass.frontends.http import upload
from underpass.observe import Counter

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NOTHING = b"HTTP/1.1 204 No Content\r\n\r\n"
BASIC = b'HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic realm="p"\r\nContent-Length: 0\r\n\r\n'
LOGIN = b"Basic " + base64.b64encode(b"carol:open sesame")
GET = b"GET http://site.example/page?q HTTP/1.1\r\nHost: site.example\r\n\r\n"


def digest(nonce: bytes, *, stale: bool = False) -> bytes:
    """A 407 that asks for Digest."""
    more = b", stale=true" if stale else b""
    fields = b'Proxy-Authenticate: Digest realm="p", qop="auth", nonce="%s"%s' % (nonce, more)
    return b"HTTP/1.1 407 Who?\r\n%s\r\nContent-Length: 0\r\n\r\n" % fields


class Parent:
    """An upstream proxy that answers the requests it gets, over all streams, by a list."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []

    async def __call__(self, visitor: RawClient) -> None:
        while self.answers:
            head = await visitor.head()
            answer = self.answers.pop(0)
            self.heads.append(head)
            size = int(field_of(head, b"content-length") or b"0")
            self.bodies.append(await visitor.exactly(size))
            await visitor.say(answer)

    def logins(self) -> list[bytes | None]:
        return [field_of(head, b"proxy-authorization") for head in self.heads]


def via(port: int, login: str = "") -> str:
    return f"http://{login}127.0.0.1:{port}"


CAROL = "carol:open%20sesame@"


async def test_a_request_goes_on_in_absolute_form_and_a_name_unresolved() -> None:
    parent = Parent(OK)
    async with origin(parent) as p, stage(via=via(p.port)) as s, s.client() as client:
        await client.say(GET)
        head, body = await client.response()
        assert (head[:12], body) == (b"HTTP/1.1 200", b"ok")
        assert parent.heads[0].startswith(b"GET http://site.example/page?q HTTP/1.1\r\n")
        assert field_of(parent.heads[0], b"host") == b"site.example"
        assert parent.logins() == [None]
        assert s.counters.value(Counter.DIALS) == 1


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (b"GET http://site.example", b"GET http://site.example/"),
        (b"GET ws://site.example:80/chat", b"GET http://site.example:80/chat"),
        (b"OPTIONS http://site.example:8000", b"OPTIONS http://site.example:8000"),
    ],
)
async def test_the_target_is_written_anew(asked: bytes, sent: bytes) -> None:
    parent = Parent(OK)
    async with origin(parent) as p, stage(via=via(p.port)) as s, s.client() as client:
        await client.say(asked + b" HTTP/1.1\r\nHost: site.example\r\n\r\n")
        await client.response()
        assert parent.heads[0].startswith(sent + b" HTTP/1.1\r\n")


async def test_a_stream_to_the_parent_carries_the_next_request() -> None:
    parent = Parent(OK, OK)
    async with origin(parent) as p, stage(via=via(p.port)) as s, s.client() as client:
        for _ in range(2):
            await client.say(GET)
            assert (await client.response())[1] == b"ok"
        assert p.accepted == 1
        assert s.counters.value(Counter.POOL_REUSED) == 1


async def test_policy_is_asked_although_a_stream_to_the_parent_is_kept() -> None:
    parent = Parent(OK)
    deny = (Rule.parse(Effect.DENY, "*.blocked.example"), Rule.parse(Effect.DENY, "10.0.0.0/8"))
    async with origin(parent) as p, stage(via=via(p.port), allow=deny) as s, s.client() as client:
        await client.say(GET)
        await client.response()
        for host in (b"www.blocked.example", b"10.1.2.3", b"127.0.0.1"):
            await client.say(b"GET http://%s/ HTTP/1.1\r\nHost: h\r\n\r\n" % host)
            head, _ = await client.response()
            assert head.startswith(b"HTTP/1.1 403 ")
        assert len(parent.heads) == 1


async def test_basic_is_answered_once_and_then_unasked() -> None:
    parent = Parent(BASIC, OK, OK)
    async with origin(parent) as p, stage(via=via(p.port, CAROL)) as s, s.client() as client:
        for _ in range(2):
            await client.say(GET)
            assert (await client.response())[1] == b"ok"
        assert parent.logins() == [None, LOGIN, LOGIN]
        assert (await s.record(1)).status == 200


async def test_a_clients_own_login_never_reaches_the_parent() -> None:
    parent = Parent(OK, BASIC, OK)
    own = GET[:-2] + b"Proxy-Authorization: Basic c2VjcmV0\r\n\r\n"
    async with origin(parent) as p:
        async with stage(via=via(p.port)) as s, s.client() as client:
            await client.say(own)
            await client.response()
        async with stage(via=via(p.port, CAROL)) as s, s.client() as client:
            await client.say(own)
            await client.response()
    assert parent.logins() == [None, None, LOGIN]


def md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).hexdigest().encode()


def check_digest(head: bytes, nonce: bytes, uses: bytes) -> None:
    """The answer fits RFC 7616 3.4.1 for the request line that it stands in."""
    login = field_of(head, b"proxy-authorization") or b""
    said = dict(re.findall(rb'(\w+)="?([^",]*)"?', login))
    method, target, _ = head.split(b"\r\n")[0].split(b" ")
    assert (said[b"uri"], said[b"nonce"], said[b"nc"]) == (target, nonce, uses)
    secret, what = md5(b"carol:p:open sesame"), md5(method + b":" + target)
    assert said[b"response"] == md5(
        b":".join((secret, nonce, uses, said[b"cnonce"], b"auth", what))
    )


async def test_digest_is_answered_for_each_request_and_renewed_when_stale() -> None:
    parent = Parent(digest(b"one"), OK, OK, digest(b"two", stale=True), OK)
    async with origin(parent) as p, stage(via=via(p.port, CAROL)) as s, s.client() as client:
        for _ in range(3):
            await client.say(GET)
            assert (await client.response())[1] == b"ok"
        assert parent.logins()[0] is None
        check_digest(parent.heads[1], b"one", b"00000001")
        check_digest(parent.heads[2], b"one", b"00000002")
        check_digest(parent.heads[4], b"two", b"00000001")


@pytest.mark.parametrize(
    ("answers", "login"),
    [
        ((BASIC,), ""),
        ((BASIC, BASIC), CAROL),
        ((digest(b"1"), digest(b"2"), digest(b"3")), CAROL),
        ((BASIC.replace(b"Basic", b"Unheard"),), CAROL),
        ((BASIC.replace(b'"p"', b'"p'),), CAROL),
    ],
    ids=["no login", "wrong password", "wrong digest", "unknown scheme", "broken challenge"],
)
async def test_a_parents_407_never_reaches_the_client(
    answers: tuple[bytes, ...], login: str
) -> None:
    parent = Parent(*answers)
    async with origin(parent) as p, stage(via=via(p.port, login)) as s, s.client() as client:
        await client.say(GET)
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 502 ")
        assert field_of(head, b"proxy-authenticate") is None
        assert parent.answers == []
        assert len([one for one in parent.logins() if one]) <= 2


async def test_a_refused_login_is_told_with_the_status_received() -> None:
    parent = Parent(BASIC, BASIC, OK)
    async with origin(parent) as p, stage(via=via(p.port, CAROL)) as s, s.client() as client:
        await client.say(GET)
        head, body = await client.response()
        assert b"received-status=407" in (field_of(head, b"proxy-status") or b"")
        assert b"the upstream proxy said 407 Who?" in body
        assert b"sesame" not in head + body
        await client.say(GET)
        assert (await client.response())[1] == b"ok"


POST = b"POST http://site.example/ HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"


async def test_a_short_body_is_sent_again_with_the_login() -> None:
    parent = Parent(BASIC, OK)
    async with origin(parent) as p, stage(via=via(p.port, CAROL)) as s, s.client() as client:
        await client.say(POST % 5 + b"hello")
        assert (await client.response())[1] == b"ok"
        assert parent.bodies == [b"hello", b"hello"]
        assert (await s.record()).sent == 5


async def test_chunks_are_sent_again_with_the_login() -> None:
    body = b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"
    seen: list[bytes] = []
    last = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    # The login is good until the chunks come: nobody knows how many come, so it is seen to before.
    streams = [[BASIC], [last], [BASIC], [NOTHING, OK]]

    async def parent(visitor: RawClient) -> None:
        for answer in streams.pop(0):
            seen.append(await visitor.head())
            if seen[-1].startswith(b"POST "):
                assert await visitor.exactly(len(body)) == body
            await visitor.say(answer)

    async with origin(parent) as p, stage(via=via(p.port, CAROL)) as s, s.client() as client:
        head = (
            b"POST http://site.example/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for request in (GET, head + body):
            await client.say(request)
            assert (await client.response())[1] == b"ok"
        assert [one.split(b" ")[0] for one in seen[2:]] == [b"POST", b"HEAD", b"POST"]
        assert [field_of(one, b"proxy-authorization") for one in seen[2:]] == [LOGIN] * 3
        assert p.problems == []


async def test_a_407_in_the_middle_of_a_body_is_answered_with_what_was_sent_and_what_follows() -> (
    None
):
    got: list[bytes] = []

    async def parent(visitor: RawClient) -> None:
        head = await visitor.head()
        if field_of(head, b"proxy-authorization") is None:
            got.append(await visitor.exactly(5))
            await visitor.say(BASIC)
            return
        got.append(await visitor.exactly(5))
        await client.say(b"world")
        got.append(await visitor.exactly(5))
        await visitor.say(OK)

    async with origin(parent) as p, stage(via=via(p.port, CAROL)) as s, s.client() as client:
        await client.say(POST % 10 + b"hello")
        assert (await client.response())[1] == b"ok"
        assert got == [b"hello", b"hello", b"world"]
        assert (await s.record()).sent == 10


async def test_a_client_that_waits_for_100_sends_its_body_once() -> None:
    got: list[bytes] = []

    async def parent(visitor: RawClient) -> None:
        head = await visitor.head()
        assert field_of(head, b"expect") == b"100-continue"
        if field_of(head, b"proxy-authorization") is None:
            await visitor.say(BASIC)
            return
        await visitor.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        got.append(await visitor.exactly(5))
        await visitor.say(OK)

    async with origin(parent) as p, stage(via=via(p.port, CAROL)) as s, s.client() as client:
        await client.say((POST % 5).replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
        assert (await client.head()).startswith(b"HTTP/1.1 100 ")
        await client.say(b"hello")
        assert (await client.response())[1] == b"ok"
        assert got == [b"hello"]
        assert p.problems == []


async def test_a_long_body_is_refused_where_a_login_that_was_good_is_none_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("underpass.frontends.http.forward.REPEATABLE_BYTES", 4)
    assert upload.REPEATABLE_BYTES > 4
    parent = Parent(BASIC, OK, BASIC, NOTHING, OK)
    async with origin(parent) as p, stage(via=via(p.port, CAROL)) as s, s.client() as client:
        await client.say(GET)
        await client.response()
        await client.say(POST % 5 + b"hello")
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 502 ")
        assert b"received-status=407" in (field_of(head, b"proxy-status") or b"")
        async with s.client() as other:
            await other.say(POST % 5 + b"hello")
            assert (await other.response())[1] == b"ok"
        # Before the next one the login is tried without a body.
        assert parent.heads[3].startswith(b"HEAD ")
        assert parent.logins() == [None, *[LOGIN] * 4]


def websocket(after: Callable[[RawClient], Awaitable[None]]) -> Script:
    async def parent(visitor: RawClient) -> None:
        head = await visitor.head()
        assert head.startswith(b"GET http://site.example/chat HTTP/1.1\r\n")
        assert field_of(head, b"upgrade") == b"websocket"
        await visitor.say(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        await after(visitor)

    return parent


async def test_an_upgrade_passes_through_the_parent() -> None:
    async def talk(visitor: RawClient) -> None:
        assert await visitor.exactly(4) == b"ping"
        await visitor.say(b"pong")
        assert await visitor.rest() == b""

    async with origin(websocket(talk)) as p, stage(via=via(p.port)) as s, s.client() as client:
        await client.say(
            b"GET http://site.example/chat HTTP/1.1\r\nHost: site.example\r\n"
            b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nping"
        )
        assert (await client.head()).startswith(b"HTTP/1.1 101 ")
        assert await client.exactly(4) == b"pong"
        client.finish()
        assert await client.rest() == b""
        assert p.problems == []


async def test_a_parent_that_answers_for_the_origin_is_passed_on() -> None:
    answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"
    async with origin(Parent(answer)) as p, stage(via=via(p.port)) as s, s.client() as client:
        await client.say(GET)
        head, body = await client.response()
        assert (head[:12], body) == (b"HTTP/1.1 404", b"no")


async def test_a_parent_that_is_gone_is_a_502() -> None:
    async with origin(Parent()) as p:
        port = p.port
    async with stage(via=via(port)) as s, s.client() as client:
        await client.say(GET)
        head, body = await client.response()
        assert head.startswith(b"HTTP/1.1 502 ")
        assert b"upstream proxy 127.0.0.1" in body
        assert s.counters.value(Counter.DIAL_FAILURES) == 1


async def test_connect_is_used_for_tunnels() -> None:
    async def parent(visitor: RawClient) -> None:
        assert (await visitor.head()).startswith(b"CONNECT site.example:443 HTTP/1.1\r\n")
        await visitor.say(b"HTTP/1.1 200 OK\r\n\r\nhello")

    async with origin(parent) as p, stage(via=via(p.port)) as s, s.client() as client:
        await client.say(b"CONNECT site.example:443 HTTP/1.1\r\nHost: site.example:443\r\n\r\n")
        assert (await client.head()).startswith(b"HTTP/1.1 200 ")
        assert await client.exactly(5) == b"hello"
        assert p.problems == []
