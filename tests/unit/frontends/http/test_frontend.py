"""The front end as a whole: what a failed dial is to a client, other parts, draining, bugs."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.frontends.http.dialogue import Dialled, RawClient, bench, field_of, origin
from tests.unit.net.test_message_stream import Scripted
from underpass.errors import DialError, Failure, StreamReset
from underpass.frontends.http import HttpFrontEnd
from underpass.frontends.http.pool import PoolLimits
from underpass.frontends.http.state import FrontEndOptions
from underpass.net.gate import Gate, GateLimits
from underpass.observe import Observer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n"
CONNECT = b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n"


async def ok(visitor: RawClient) -> None:
    while True:
        await visitor.head()
        await visitor.say(OK)


def get(name: bytes) -> bytes:
    return b"GET http://%s/ HTTP/1.1\r\nHost: %s\r\n\r\n" % (name, name)


# What a client sees on failure, as RFC 9209 section 2.3 recommends it.
FAILURES = [
    (Failure.DNS_ERROR, 502, b"dns_error"),
    (Failure.DNS_TIMEOUT, 504, b"dns_timeout"),
    (Failure.CONNECTION_REFUSED, 502, b"connection_refused"),
    (Failure.CONNECTION_TIMEOUT, 504, b"connection_timeout"),
    (Failure.NETWORK_UNREACHABLE, 502, b"destination_ip_unroutable"),
    (Failure.HOST_UNREACHABLE, 502, b"destination_ip_unroutable"),
    (Failure.CONNECTION_LIMIT, 503, b"connection_limit_reached"),
    (Failure.LOOP, 502, b"proxy_loop_detected"),
    (Failure.UPSTREAM_REFUSED, 502, b"http_request_error"),
    (Failure.UPSTREAM_TLS, 502, b"tls_protocol_error"),
    (Failure.UPSTREAM_CERTIFICATE, 502, b"tls_certificate_error"),
    (Failure.FORBIDDEN, 403, b"http_request_denied"),
    (Failure.IP_PROHIBITED, 403, b"destination_ip_prohibited"),
]


@pytest.mark.parametrize("request_", [GET, CONNECT])
@pytest.mark.parametrize(("failure", "status", "error"), FAILURES)
async def test_a_failed_dial_is_told_to_machines_and_to_people(
    request_: bytes, failure: Failure, status: int, error: bytes
) -> None:
    outbound = Dialled(DialError(failure, "the details", parameters={"rcode": "NXDOMAIN"}))
    async with bench(outbound) as b, b.client() as client:
        await client.say(request_)
        head, body = await client.response()
        assert head.startswith(b"HTTP/1.1 %d " % status)
        expected = b'underpass;error=%s;rcode="NXDOMAIN";details="the details"' % error
        assert field_of(head, b"proxy-status") == expected
        # It can't be taken for the origin's answer, nor kept.
        assert field_of(head, b"cache-control") == b"no-store"
        assert field_of(head, b"content-type") == b"text/plain; charset=utf-8"
        assert (field_of(head, b"retry-after") is not None) is (status == 503)
        assert b"the details" in body
        record = await b.record()
        assert record.status == status
        request_id = record.request_id.encode()
        assert field_of(head, b"x-request-id") == request_id
        assert b"Request %s." % request_id in body
        # A refused CONNECT ends the stream, a refused GET does not.
        if request_ is CONNECT:
            assert field_of(head, b"connection") == b"close"
            assert await client.rest() == b""
        else:
            await client.say(request_)
            again, _ = await client.response()
            assert field_of(again, b"x-request-id") not in (None, request_id)


async def test_the_answer_to_head_has_no_body_and_keeps_the_stream_in_step() -> None:
    outbound = Dialled(DialError(Failure.DNS_ERROR))
    async with bench(outbound) as b, b.client() as client:
        await client.say(GET.replace(b"GET", b"HEAD") + GET)
        assert (await client.head()).startswith(b"HTTP/1.1 502 ")
        assert (await client.response())[0].startswith(b"HTTP/1.1 502 ")


async def test_other_parts_hold_from_the_next_request_on() -> None:
    async with origin(ok) as there, bench(Dialled()) as b, b.client() as client:
        await client.say(get(there.name))
        await client.response()
        options = FrontEndOptions(identity="other", pool=PoolLimits(per_key=1))
        b.front_end.replace(Dialled(DialError(Failure.FORBIDDEN)), options, None)
        assert len(b.front_end.state.pool) == 0
        # No stream that was kept under the old policy answers any more.
        await client.say(get(there.name))
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 403 ")
        assert (field_of(head, b"proxy-status") or b"").startswith(b"other;")
        assert there.accepted == 1


async def test_streams_bound_to_a_client_are_let_go_with_the_old_parts() -> None:
    ntlm = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nWWW-Authenticate: NTLM\r\n\r\nok"
    ended = asyncio.Event()

    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(ntlm)
        assert await visitor.rest() == b""
        ended.set()

    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await client.say(get(there.name))
        await client.response()
        b.front_end.replace(Dialled(), FrontEndOptions(), None)
        await client.say(get(there.name))
        await client.response()
        async with asyncio.timeout(5):
            await ended.wait()
        assert there.accepted == 2


async def test_a_stream_in_use_while_draining_is_not_kept() -> None:
    asked, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def script(visitor: RawClient) -> None:
        await visitor.head()
        asked.set()
        await go_on.wait()
        await visitor.say(OK)
        assert await visitor.rest() == b""
        ended.set()

    async with origin(script) as there, bench(Dialled()) as b, b.client() as client:
        await client.say(get(there.name))
        await asked.wait()
        b.front_end.drain()
        go_on.set()
        head, body = await client.response()
        assert body == b"ok"
        assert field_of(head, b"connection") == b"close"
        assert await client.rest() == b""
        async with asyncio.timeout(5):
            await ended.wait()
        assert len(b.front_end.state.pool) == 0


async def test_a_client_that_comes_while_draining_is_let_go() -> None:
    async with bench(Dialled()) as b:
        b.front_end.drain()
        async with b.client() as client:
            assert await client.rest() == b""
        assert b.records == []


async def test_a_bug_ends_its_own_client_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        origin(ok) as there,
        bench(Dialled(ZeroDivisionError("the bug"))) as b,
        b.client() as client,
        b.client() as other,
    ):
        await client.say(get(there.name))
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 500 ")
        assert field_of(head, b"x-request-id") == (await b.record()).request_id.encode()
        assert await client.rest() == b""
        assert "the bug" in caplog.text
        b.front_end.replace(Dialled(), FrontEndOptions(), None)
        await other.say(get(there.name))
        assert (await other.response())[1] == b"ok"


async def test_kept_streams_age_beside_the_listeners() -> None:
    options = FrontEndOptions(pool=PoolLimits(idle_timeout=0.004))
    async with origin(ok) as there, bench(Dialled(), options) as b, b.client() as client:
        await client.say(get(there.name))
        await client.response()
        async with asyncio.TaskGroup() as tasks:
            sweeping = tasks.create_task(b.front_end.sweep())
            async with asyncio.timeout(5):
                while len(b.front_end.state.pool):
                    await asyncio.sleep(0.001)
            sweeping.cancel()


async def serve(outbound: Dialled, stream: Scripted) -> None:
    ticket = Gate(GateLimits()).admit("127.0.0.1")
    assert ticket is not None
    await HttpFrontEnd(outbound, Observer()).serve(stream, ticket)


async def test_a_bug_before_any_request_resets(caplog: pytest.LogCaptureFixture) -> None:
    stream = Scripted(ZeroDivisionError("the bug"))
    await serve(Dialled(), stream)
    assert (stream.aborted, stream.sent) == (True, [])
    assert "the bug" in caplog.text


async def test_a_bug_whose_client_is_gone_resets(caplog: pytest.LogCaptureFixture) -> None:
    stream = Scripted(GET, takes=StreamReset("gone"))
    await serve(Dialled(ZeroDivisionError("the bug")), stream)
    assert stream.aborted
    assert "the bug" in caplog.text
