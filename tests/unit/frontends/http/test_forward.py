"""Forwarding as dialogues: what the origin is sent, and what the client is sent back."""

from __future__ import annotations

import pytest

from tests.unit.frontends.http.dialogue import RawClient, answers, field_of, origin, stage
from underpass.options import Limits

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def get(name: bytes, path: bytes = b"/", more: bytes = b"") -> bytes:
    return b"GET http://%s%s HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (name, path, name, more)


async def test_request_and_response_are_written_anew() -> None:
    script = answers(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: x\r\nX-A: b\r\n\r\nok")
    async with origin(script) as there, stage() as s, s.client() as client:
        fields = b"X-Drop: 1\r\nConnection: x-drop, close\r\nProxy-Connection: y\r\nAccept: */*\r\n"
        request = b"GET http://%s/a?b HTTP/1.1\r\nHost: other.example\r\n%s\r\n"
        await client.say(request % (there.name, fields))
        head, body = await client.response()
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert body == b"ok"
        assert field_of(head, b"keep-alive") is None
        assert field_of(head, b"x-a") == b"b"
        assert (field_of(head, b"via") or b"").startswith(b"1.1 underpass-")
        [sent] = script.heads
        assert sent.startswith(b"GET /a?b HTTP/1.1\r\n")
        assert field_of(sent, b"host") == there.name
        assert field_of(sent, b"x-drop") is None
        assert field_of(sent, b"proxy-connection") is None
        assert field_of(sent, b"accept") == b"*/*"
        assert (field_of(sent, b"via") or b"").startswith(b"1.1 underpass-")
        assert await client.rest() == b""
        record = await s.record()
        assert (record.method, record.status, record.received) == ("GET", 200, 2)


async def test_pipelined_requests_are_answered_in_order_over_one_server_stream() -> None:
    first = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"
    second = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond"
    async with origin(answers(first, second)) as there, stage() as s, s.client() as client:
        await client.say(get(there.name) + get(there.name))
        assert (await client.response())[1] == b"first"
        assert (await client.response())[1] == b"second"
        assert there.accepted == 1


async def test_a_length_body_arrives_whole() -> None:
    script = answers(OK)
    async with origin(script) as there, stage() as s, s.client() as client:
        request = b"POST http://%s/ HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n" % there.name
        await client.say(request + b"01234")
        await client.say(b"56789")
        assert (await client.response())[1] == b"ok"
        assert script.bodies == [b"0123456789"]
        assert (await s.record()).sent == 10


async def test_chunks_and_trailers_pass_both_ways() -> None:
    async def script(visitor: RawClient) -> None:
        head = await visitor.head()
        assert field_of(head, b"transfer-encoding") == b"chunked"
        body = b"5\r\nhello\r\n0\r\nX-Checksum: abcdef\r\n\r\n"
        assert await visitor.exactly(len(body)) == body
        await visitor.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n")
        await visitor.say(b"3\r\nabc\r\n")
        await visitor.say(b"0\r\nX-T: 1\r\n\r\n")

    async with origin(script) as there, stage() as s, s.client() as client:
        head = b"POST http://%s/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        await client.say(head % there.name)
        await client.say(b"5;ext=1\r\nhello\r\n0\r\nX-Checksum: abcdef\r\n\r\n")
        answer = await client.head()
        assert field_of(answer, b"transfer-encoding") == b"chunked"
        assert await client.exactly(21) == b"3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"
        assert there.problems == []


async def test_a_client_of_http_1_0_gets_no_chunks_and_no_kept_stream() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    async with origin(answers(chunked)) as there, stage() as s, s.client() as client:
        await client.say(b"GET http://%s/ HTTP/1.0\r\n\r\n" % there.name)
        head = await client.head()
        assert field_of(head, b"transfer-encoding") is None
        assert field_of(head, b"connection") == b"close"
        assert await client.rest() == b"abc"


async def test_interim_responses_pass_before_the_final_one() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    async with origin(answers(hints + OK)) as there, stage() as s, s.client() as client:
        await client.say(get(there.name))
        assert (await client.head()).startswith(b"HTTP/1.1 103 Early Hints\r\n")
        assert (await client.response())[1] == b"ok"


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n\r\n",
    ],
)
async def test_responses_without_body_leave_the_stream_in_step(response: bytes) -> None:
    async with origin(answers(response, OK)) as there, stage() as s, s.client() as client:
        await client.say(get(there.name))
        assert (await client.head()).split(b"\r\n")[0] == response.split(b"\r\n")[0]
        await client.say(get(there.name))
        assert (await client.response())[1] == b"ok"


async def test_head_has_a_length_and_no_body() -> None:
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
    async with origin(answers(response, OK)) as there, stage() as s, s.client() as client:
        await client.say(get(there.name).replace(b"GET", b"HEAD"))
        assert field_of(await client.head(), b"content-length") == b"500"
        await client.say(get(there.name))
        assert (await client.response())[1] == b"ok"


async def test_expect_100_continue_waits_for_the_server() -> None:
    async def script(visitor: RawClient) -> None:
        assert field_of(await visitor.head(), b"expect") == b"100-continue"
        await visitor.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await visitor.exactly(4) == b"body"
        await visitor.say(OK)

    async with origin(script) as there, stage() as s, s.client() as client:
        head = b"PUT http://%s/ HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n"
        await client.say(head % there.name + b"Expect: 100-continue\r\n\r\n")
        assert (await client.head()).startswith(b"HTTP/1.1 100 ")
        await client.say(b"body")
        assert (await client.response())[1] == b"ok"
        assert there.problems == []


async def test_a_final_answer_instead_of_100_ends_the_stream() -> None:
    refusal = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"

    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(refusal)

    async with origin(script) as there, stage() as s, s.client() as client:
        head = b"PUT http://%s/ HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n"
        await client.say(head % there.name + b"Expect: 100-continue\r\n\r\n")
        answer = await client.head()
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert field_of(answer, b"connection") == b"close"
        assert await client.rest() == b""


async def test_upgrade_passes_with_the_bytes_that_came_with_it() -> None:
    async def script(visitor: RawClient) -> None:
        head = await visitor.head()
        assert field_of(head, b"upgrade") == b"websocket"
        assert b"upgrade" in (field_of(head, b"connection") or b"").lower()
        switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket"
        await visitor.say(switch + b"\r\n\r\nfirst frame")
        assert await visitor.exactly(8) == b"pingpong"

    async with origin(script) as there, stage() as s, s.client() as client:
        more = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
        await client.say(get(there.name, more=more) + b"ping")
        head = await client.head()
        assert head.startswith(b"HTTP/1.1 101 ")
        assert field_of(head, b"upgrade") == b"websocket"
        await client.say(b"pong")
        assert await client.rest() == b"first frame"
        client.finish()
        assert there.problems == []
        assert (await s.record()).status == 101


async def test_a_101_that_nobody_asked_for_is_a_502() -> None:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
    async with origin(answers(switch)) as there, stage() as s, s.client() as client:
        await client.say(get(there.name))
        assert (await client.head()).startswith(b"HTTP/1.1 502 ")


async def test_a_body_cut_short_reaches_the_client_as_cut() -> None:
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
    async with origin(answers(cut)) as there, stage() as s, s.client() as client:
        await client.say(get(there.name))
        assert field_of(await client.head(), b"content-length") == b"10"
        with pytest.raises(ConnectionResetError):
            await client.rest()
        assert (await s.record()).reason.startswith("response incomplete")


async def test_a_response_that_only_its_end_delimits_is_passed_as_such() -> None:
    async with (
        origin(answers(b"HTTP/1.1 200 OK\r\n\r\nall of it")) as there,
        stage() as s,
        s.client() as client,
    ):
        await client.say(get(there.name))
        head = await client.head()
        assert field_of(head, b"transfer-encoding") is None
        assert field_of(head, b"connection") == b"close"
        assert await client.rest() == b"all of it"


@pytest.mark.parametrize(
    "response",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
    ],
)
async def test_a_broken_response_is_a_502(response: bytes) -> None:
    async with origin(answers(response)) as there, stage() as s, s.client() as client:
        await client.say(get(there.name))
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 502 ")
        assert b"error=http_protocol_error" in (field_of(head, b"proxy-status") or b"")


async def test_a_server_that_says_nothing_is_a_502() -> None:
    async def script(visitor: RawClient) -> None:
        await visitor.head()

    async with origin(script) as there, stage() as s, s.client() as client:
        await client.say(get(there.name))
        assert (await client.head()).startswith(b"HTTP/1.1 502 ")


async def test_a_server_that_stays_silent_is_a_504() -> None:
    async def script(visitor: RawClient) -> None:
        await visitor.rest()

    limits = Limits(response_timeout=0.05, drain_timeout=0)
    async with origin(script) as there, stage(limits=limits) as s, s.client() as client:
        await client.say(get(there.name))
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 504 ")
        assert b"error=http_response_timeout" in (field_of(head, b"proxy-status") or b"")


async def test_a_refusal_before_a_get_keeps_the_client() -> None:
    async with origin(answers(OK)) as there, stage() as s, s.client() as client:
        await client.say(get(b"10.0.0.1:80"))
        assert (await client.response())[0].startswith(b"HTTP/1.1 403 ")
        await client.say(get(there.name))
        assert (await client.response())[1] == b"ok"


async def test_a_request_that_was_here_before_is_a_loop() -> None:
    script = answers(OK)
    async with origin(script) as there, stage() as s, s.client() as client:
        await client.say(get(there.name))
        await client.response()
        via = field_of(script.heads[0], b"via") or b""
        await client.say(get(there.name, more=b"Via: %s\r\n" % via))
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 502 ")
        assert b"proxy_loop_detected" in head


async def test_a_body_over_the_limit_is_413() -> None:
    limits = Limits(max_body_bytes=5, drain_timeout=0)
    async with origin(answers(OK)) as there, stage(limits=limits) as s:
        async with s.client() as client:
            head = b"POST http://%s/ HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\n"
            await client.say(head % there.name)
            assert (await client.head()).startswith(b"HTTP/1.1 413 ")
        async with s.client() as client:
            head = b"POST http://%s/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
            await client.say(head % there.name + b"6\r\nabcdef\r\n0\r\n\r\n")
            assert (await client.head()).startswith(b"HTTP/1.1 413 ")


async def test_a_broken_chunk_never_completes_the_servers_request() -> None:
    got = b""

    async def script(visitor: RawClient) -> None:
        nonlocal got
        try:
            got = await visitor.rest()
        except ConnectionResetError:
            got = b"reset"

    async with origin(script) as there, stage() as s, s.client() as client:
        head = b"POST http://%s/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        await client.say(head % there.name + b"5\r\nhello\r\nzz\r\n")
        answer = await client.head()
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert field_of(answer, b"connection") == b"close"
    assert got == b"reset"


@pytest.mark.parametrize("method", [b"OPTIONS", b"TRACE"])
async def test_max_forwards_0_is_answered_here(method: bytes) -> None:
    async with origin(answers(OK)) as there, stage() as s, s.client() as client:
        request = get(there.name, more=b"Max-Forwards: 0\r\nCookie: secret\r\n")
        await client.say(request.replace(b"GET", method))
        head, body = await client.response()
        assert head.startswith(b"HTTP/1.1 200 ")
        assert there.accepted == 0
        assert b"secret" not in body


async def test_max_forwards_is_counted_down() -> None:
    script = answers(OK)
    async with origin(script) as there, stage() as s, s.client() as client:
        await client.say(get(there.name, more=b"Max-Forwards: 7\r\n").replace(b"GET", b"OPTIONS"))
        await client.response()
        assert field_of(script.heads[0], b"max-forwards") == b"6"


@pytest.mark.parametrize("name", [b"Host", b"Content-Length", b"Cookie", b"Authorization", b"Via"])
async def test_a_client_cannot_have_removed_what_the_server_relies_on(name: bytes) -> None:
    script = answers(OK, OK)
    async with origin(script) as there, stage() as s, s.client() as client:
        fields = b"Connection: close, %s\r\nCookie: c\r\nAuthorization: a\r\nVia: 1.1 x\r\n" % name
        request = get(there.name, more=fields + b"Content-Length: 5\r\n").replace(b"GET", b"POST")
        await client.say(request + b"hello")
        assert (await client.response())[1] == b"ok"
        [sent] = script.heads
        assert field_of(sent, b"host") == there.name
        assert field_of(sent, b"content-length") == b"5"
        assert field_of(sent, b"cookie") == b"c"
        assert field_of(sent, b"authorization") == b"a"
        assert sent.lower().count(b"\r\nvia:") == 2
        assert script.bodies == [b"hello"]


async def test_options_of_a_whole_server_asks_for_it() -> None:
    script = answers(OK)
    async with origin(script) as there, stage() as s, s.client() as client:
        await client.say(b"OPTIONS http://%s HTTP/1.1\r\nHost: h\r\n\r\n" % there.name)
        await client.response()
        [sent] = script.heads
        assert sent.startswith(b"OPTIONS * HTTP/1.1\r\n")
        assert field_of(sent, b"host") == there.name


async def test_trace_goes_on_while_it_may() -> None:
    script = answers(OK)
    async with origin(script) as there, stage() as s, s.client() as client:
        request = get(there.name, more=b"Max-Forwards: 1\r\n").replace(b"GET", b"TRACE")
        await client.say(request)
        await client.response()
        [sent] = script.heads
        assert field_of(sent, b"max-forwards") == b"0"


async def test_a_max_forwards_that_is_no_number_is_refused() -> None:
    async with stage() as s, s.client() as client:
        request = get(b"127.0.0.1:9", more=b"Max-Forwards: x\r\n").replace(b"GET", b"TRACE")
        await client.say(request)
        assert (await client.head()).startswith(b"HTTP/1.1 400 ")
