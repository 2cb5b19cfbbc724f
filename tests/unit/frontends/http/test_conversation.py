"""One client's requests in turn: heads, time-outs, authentication, refusals."""

from __future__ import annotations

import pytest

from tests.unit.frontends.http.dialogue import RawClient, field_of, origin, stage
from underpass.access import Principal
from underpass.frontends.http.authentication import Throttled
from underpass.options import Limits
from underpass.protocol.http.credentials import Basic, Bearer


class OneUser:
    """Knows alice and her password; a token that is throttled."""

    challenges = (b'Basic realm="underpass", charset="UTF-8"', b'Bearer realm="underpass"')

    def __init__(self, *, binds_connection: bool = False) -> None:
        self.binds_connection = binds_connection

    async def authenticate(self, credentials: Basic | Bearer, client: str) -> Principal | None:
        if isinstance(credentials, Bearer):
            raise Throttled(2.5)
        if (credentials.user, credentials.password) == ("alice", "secret"):
            return Principal("alice")
        return None


ALICE = b"Proxy-Authorization: Basic YWxpY2U6c2VjcmV0\r\n"
MALLORY = b"Proxy-Authorization: Basic bWFsbG9yeTpndWVzcw==\r\n"


async def ok(visitor: RawClient) -> None:
    while True:
        head = await visitor.head()
        assert field_of(head, b"proxy-authorization") is None
        await visitor.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def get(name: bytes, more: bytes = b"") -> bytes:
    return b"GET http://%s/ HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (name, name, more)


@pytest.mark.parametrize("credentials", [b"", MALLORY, b"Proxy-Authorization: Digest x\r\n"])
async def test_without_good_credentials_there_is_a_challenge(credentials: bytes) -> None:
    async with origin(ok) as there, stage(authenticator=OneUser()) as s, s.client() as client:
        await client.say(get(there.name, credentials))
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 407 ")
        assert head.lower().count(b"proxy-authenticate:") == 2
        assert there.accepted == 0
        # The same stream goes on, now with credentials.
        await client.say(get(there.name, ALICE))
        assert (await client.response())[1] == b"ok"
        assert there.problems == []
        assert (await s.record(1)).user == "alice"


async def test_two_credentials_are_refused() -> None:
    async with stage(authenticator=OneUser()) as s, s.client() as client:
        await client.say(get(b"127.0.0.1:9", ALICE + MALLORY))
        assert (await client.head()).startswith(b"HTTP/1.1 400 ")


async def test_too_many_failures_are_told_to_wait() -> None:
    async with stage(authenticator=OneUser()) as s, s.client() as client:
        await client.say(get(b"127.0.0.1:9", b"Proxy-Authorization: Bearer abc\r\n"))
        head = await client.head()
        assert head.startswith(b"HTTP/1.1 429 ")
        assert field_of(head, b"retry-after") == b"3"


@pytest.mark.parametrize(
    ("binds", "extra", "stays"), [(False, b"", False), (True, b"", True), (True, b"x", False)]
)
async def test_a_407_to_connect_ends_the_stream_unless_the_scheme_is_bound_to_it(
    binds: bool, extra: bytes, stays: bool
) -> None:
    authenticator = OneUser(binds_connection=binds)
    async with origin(ok) as there, stage(authenticator=authenticator) as s, s.client() as client:
        connect = b"CONNECT %s HTTP/1.1\r\nHost: h\r\n%s\r\n"
        await client.say(connect % (there.name, b"") + extra)
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 407 ")
        assert (field_of(head, b"connection") == b"close") is not stays
        if stays:
            await client.say(connect % (there.name, ALICE))
            assert (await client.head()).startswith(b"HTTP/1.1 200 ")
        else:
            assert await client.rest() == b""


async def test_a_head_that_does_not_come_whole_in_time_is_a_408() -> None:
    limits = Limits(head_timeout=0.05, drain_timeout=0)
    async with stage(limits=limits) as s, s.client() as client:
        await client.say(b"GET http://example.com/ HTTP/1.1\r\n")
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 408 ")
        assert await client.rest() == b""


async def test_a_client_that_says_nothing_is_let_go_in_silence() -> None:
    limits = Limits(head_timeout=0.05, drain_timeout=0)
    async with stage(limits=limits) as s, s.client() as client:
        assert await client.rest() == b""
        assert s.records == []


async def test_an_idle_client_is_let_go() -> None:
    limits = Limits(keep_alive_timeout=0.05, drain_timeout=0)
    async with origin(ok) as there, stage(limits=limits) as s, s.client() as client:
        await client.say(get(there.name))
        await client.response()
        assert await client.rest() == b""


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: proxy\r\n\r\n", 404),
        (b"HEAD / HTTP/1.1\r\nHost: proxy\r\n\r\n", 404),
        (b"DELETE / HTTP/1.1\r\nHost: proxy\r\n\r\n", 405),
        (b"OPTIONS * HTTP/1.1\r\nHost: proxy\r\n\r\n", 200),
        (b"TRACE / HTTP/1.1\r\nHost: proxy\r\n\r\n", 200),
        (b"POST / HTTP/1.1\r\nHost: proxy\r\nContent-Length: 1\r\n\r\nx", 400),
        (b"GET http://h/ HTTP/2.0\r\nHost: h\r\n\r\n", 505),
        (b"GET https://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 501),
        (b"GET http://h/ HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"GET http://h/%s HTTP/1.1\r\nHost: h\r\n\r\n" % (b"a" * 60_000), 414),
        (b"GET http://h/ HTTP/1.1\r\nHost: h\r\nA: %s\r\n\r\n" % (b"a" * 70_000), 431),
        (b"GET http://h/ HTTP/1.1\r\nHost: h\r\nExpect: more\r\n\r\n", 417),
    ],
)
async def test_requests_that_go_nowhere(request_: bytes, status: int) -> None:
    async with stage() as s, s.client() as client:
        await client.say(request_)
        assert (await client.head()).startswith(b"HTTP/1.1 %d " % status)
        assert (await s.record()).status == status


async def test_draining_lets_idle_clients_go_and_finishes_what_is_under_way() -> None:
    limits = Limits(drain_timeout=5)
    async with (
        origin(ok) as there,
        stage(limits=limits) as s,
        s.client() as idle,
        s.client() as busy,
    ):
        await idle.say(get(there.name))
        await idle.response()
        await busy.say(b"CONNECT %s HTTP/1.1\r\nHost: h\r\n\r\n" % there.name)
        await busy.head()
        s.proxy.stop_accepting()
        assert await idle.rest() == b""
        await busy.say(b"GET / HTTP/1.1\r\n\r\n")
        assert (await busy.response())[1] == b"ok"


async def test_answers_come_in_the_order_of_their_requests() -> None:
    async with origin(ok) as there, stage() as s, s.client() as client:
        refused = get(b"10.0.0.1")
        own = b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"
        await client.say(refused + get(there.name) + own + b"\r\n" + get(there.name) + refused)
        for status in (403, 200, 200, 200, 403):
            head, _ = await client.response()
            assert head.startswith(b"HTTP/1.1 %d " % status)
        assert there.accepted == 1


async def test_nothing_is_read_after_a_request_that_broke_the_protocol() -> None:
    async with origin(ok) as there, stage() as s, s.client() as client:
        broken = get(there.name, b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")
        await client.say(broken + get(there.name))
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 400 ")
        assert field_of(head, b"connection") == b"close"
        assert await client.rest() == b""
        assert there.accepted == 0


@pytest.mark.parametrize("method", [b"PROPFIND", b"get", b"X-UNHEARD.OF!"])
async def test_a_method_that_nobody_knows_goes_on_as_it_is(method: bytes) -> None:
    async def script(visitor: RawClient) -> None:
        assert (await visitor.head()).startswith(method + b" / HTTP/1.1\r\n")
        await visitor.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with origin(script) as there, stage() as s, s.client() as client:
        await client.say(get(there.name).replace(b"GET", method))
        assert (await client.response())[1] == b"ok"
        assert there.problems == []


async def test_a_request_line_of_8000_bytes_is_taken() -> None:
    async def script(visitor: RawClient) -> None:
        assert len((await visitor.head()).split(b"\r\n")[0]) > 8000
        await visitor.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with origin(script) as there, stage() as s, s.client() as client:
        path = b"/" + b"a" * 8000
        await client.say(b"GET http://%s%s HTTP/1.1\r\nHost: h\r\n\r\n" % (there.name, path))
        assert (await client.response())[1] == b"ok"


async def test_no_stream_is_kept_for_a_client_of_http_1_0() -> None:
    async with origin(ok) as there, stage() as s, s.client() as client:
        request = b"GET http://%s/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" % there.name
        await client.say(request * 2)
        head, body = await client.response()
        assert field_of(head, b"connection") == b"close"
        assert body == b"ok"
        assert await client.rest() == b""


async def test_a_client_that_ends_its_side_gets_its_answer() -> None:
    async with origin(ok) as there, stage() as s, s.client() as client:
        await client.say(get(there.name))
        client.finish()
        assert (await client.response())[1] == b"ok"
        assert await client.rest() == b""


async def test_a_client_that_ends_within_a_head_is_told() -> None:
    async with stage() as s, s.client() as client:
        await client.say(b"GET http://h/ HT")
        client.finish()
        assert (await client.response())[0].startswith(b"HTTP/1.1 400 ")


async def test_a_refusal_and_its_access_line_share_an_id() -> None:
    async with stage() as s, s.client() as client:
        await client.say(get(b"10.0.0.1") + b"nonsense\r\n\r\n")
        for index in range(2):
            head, body = await client.response()
            request_id = (await s.record(index)).request_id.encode()
            assert field_of(head, b"x-request-id") == request_id
            assert request_id in body
        assert s.records[0].request_id != s.records[1].request_id


async def test_a_burst_of_requests_keeps_nobody_waiting() -> None:
    burst = 500
    async with stage() as s, s.client() as client, s.client() as other:
        await client.say(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n" * burst)
        await other.say(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n")
        await other.response()
        assert len(s.records) < burst
        for _ in range(burst):
            await client.response()


async def test_a_request_to_the_proxy_itself_is_a_loop() -> None:
    async with stage() as s, s.client() as client:
        await client.say(get(b"127.0.0.1:%d" % s.port))
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 502 ")
        assert b"error=proxy_loop_detected" in (field_of(head, b"proxy-status") or b"")
