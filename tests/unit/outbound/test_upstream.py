"""Streams through scripted upstream proxies: HTTP and HTTPS."""

from __future__ import annotations

import asyncio
import base64
import datetime
import ssl

import pytest
import trustme

from tests.unit.outbound.parents import CAROL, SITE, fails, free, parent
from underpass.address import Address
from underpass.errors import DialError, Failure

OK = b"HTTP/1.1 200 Connection established\r\n\r\n"
BASIC = b'Proxy-Authenticate: Basic realm="p"\r\n'
LOGIN = b"Proxy-Authorization: Basic " + base64.b64encode(b"carol:sesame") + b"\r\n"


def refusal(fields: bytes = BASIC, body: bytes = b"", status: bytes = b"407 Who?") -> bytes:
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, fields, len(body), body)


class Answers:
    """A proxy that answers what comes over all its streams by a list, and keeps the heads."""

    def __init__(self, *responses: bytes) -> None:
        self._waiting = list(responses)
        self.heads: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while self._waiting:
            try:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            except asyncio.IncompleteReadError:
                return
            writer.write(self._waiting.pop(0))


# --- HTTP CONNECT


async def test_a_stream_is_opened_by_connect_and_early_bytes_are_kept() -> None:
    script = Answers(OK + b"early")
    async with parent(script) as p:
        stream = await p.upstream().open(SITE)
        assert await stream.receive() == b"early"
        [head] = script.heads
        assert head == b"CONNECT site.example:443 HTTP/1.1\r\nHost: site.example:443\r\n\r\n"
        await free(stream)


async def test_interim_answers_are_passed_over() -> None:
    async with parent(Answers(b"HTTP/1.1 103 Hints\r\n\r\n" + OK)) as p:
        await free(await p.upstream().open(Address("2001:db8::1", 443)))


async def test_a_challenge_is_answered_over_the_same_stream_and_remembered() -> None:
    script = Answers(refusal(body=b"a page for people"), OK, OK)
    async with parent(script) as p:
        upstream = p.upstream(login=CAROL)
        await free(await upstream.open(SITE))
        assert p.accepted == 1
        await free(await upstream.open(SITE))
        assert [LOGIN in head for head in script.heads] == [False, True, True]


@pytest.mark.parametrize(
    "answer",
    [
        refusal(BASIC + b"Connection: close\r\n"),
        refusal(body=bytes(100_000)),
        refusal() + b"HTTP/1.1 200 planted\r\n\r\n",
        b"HTTP/1.0 407 Who?\r\n" + BASIC + b"\r\n",
    ],
    ids=["close", "long page", "planted", "HTTP/1.0"],
)
async def test_a_challenge_is_answered_over_another_stream_where_it_must(answer: bytes) -> None:
    seen: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer if len(seen) == 1 else OK)
        if b"HTTP/1.0" in answer and len(seen) == 1:
            writer.write_eof()

    async with parent(script) as p:
        await free(await p.upstream(login=CAROL).open(SITE))
        assert p.accepted == 2
        assert LOGIN in seen[1]


async def test_a_refusal_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("underpass.outbound.upstream.MAX_REFUSAL_PIECES", 2)
    chunked = b"HTTP/1.1 407 Who?\r\n" + BASIC + b"Transfer-Encoding: chunked\r\n\r\n"
    async with parent(Answers(chunked + b"1\r\nx\r\n" * 3, OK)) as p:
        await free(await p.upstream(login=CAROL).open(SITE))
        assert p.accepted == 2


async def test_a_refused_login_ends_after_two_tries_at_most() -> None:
    def nonce(number: int) -> bytes:
        return refusal(b'Proxy-Authenticate: Digest realm="p", nonce="%d"\r\n' % number)

    script = Answers(*(nonce(number) for number in range(9)))
    async with parent(script) as p:
        error = await fails(p.upstream(login=CAROL))
        assert error.failure is Failure.UPSTREAM_REFUSED
        assert error.parameters == {"received-status": 407}
        assert len([head for head in script.heads if b"Digest" in head]) == 2


async def test_a_stale_nonce_is_renewed() -> None:
    def challenge(more: bytes) -> bytes:
        return refusal(b'Proxy-Authenticate: Digest realm="p", nonce=%s\r\n' % more)

    script = Answers(challenge(b'"one"'), OK, challenge(b'"two", stale=true'), OK)
    async with parent(script) as p:
        upstream = p.upstream(login=CAROL)
        for _ in range(2):
            await free(await upstream.open(SITE))
        assert b'nonce="two"' in script.heads[3]


@pytest.mark.parametrize(
    ("answer", "failure", "said"),
    [
        (refusal(), Failure.UPSTREAM_REFUSED, "said 407 Who?"),
        (refusal(b"", status=b"403 No"), Failure.UPSTREAM_REFUSED, "said 403 No"),
        (
            refusal(b"Proxy-Status: p; error=dns_error\r\n", status=b"502 Bad"),
            Failure.UPSTREAM_REFUSED,
            "said 502 p; error=dns_error",
        ),
        (b"SSH-2.0-OpenSSH\r\n\r\n\r\n\r\n", Failure.UPSTREAM_PROTOCOL, "malformed status line"),
        (b"HTTP/1.1 101 Sure\r\n\r\n", Failure.UPSTREAM_REFUSED, "no answer to CONNECT"),
    ],
)
async def test_a_refusal_is_told(answer: bytes, failure: Failure, said: str) -> None:
    async with parent(Answers(answer)) as p:
        error = await fails(p.upstream())
        assert error.failure is failure
        assert said in error.details


async def test_a_malformed_challenge_is_the_proxys_fault() -> None:
    async with parent(Answers(refusal(b'Proxy-Authenticate: Basic realm="\r\n'))) as p:
        assert (await fails(p.upstream(login=CAROL))).failure is Failure.UPSTREAM_PROTOCOL


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 2"])
async def test_a_proxy_that_hangs_up_is_told(before: bytes) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(before)
        writer.write_eof()

    async with parent(script) as p:
        error = await fails(p.upstream())
        assert error.failure in (Failure.UPSTREAM_REFUSED, Failure.RESPONSE_INCOMPLETE)
        assert "upstream proxy" in error.details


async def test_a_reset_is_told() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with parent(script) as p:
        assert (await fails(p.upstream())).failure is Failure.UPSTREAM_REFUSED


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def test_a_proxy_that_does_not_answer_is_a_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("underpass.outbound.upstream.UPSTREAM_SECONDS", 0.05)
    async with parent(silence) as p:
        error = await fails(p.upstream())
        assert error.failure is Failure.CONNECTION_TIMEOUT
        assert f"the upstream proxy 127.0.0.1:{p.port} does not answer" in error.details


async def test_a_cancelled_dial_leaves_nothing_open() -> None:
    async with parent(silence) as p, asyncio.TaskGroup() as tasks:
        dialling = tasks.create_task(p.upstream().open(SITE))
        while not p.accepted:
            await asyncio.sleep(0.001)
        dialling.cancel()


async def test_a_proxy_that_is_gone_is_named() -> None:
    async with parent(silence) as p:
        upstream = p.upstream()
    error = await fails(upstream)
    assert error.failure is Failure.CONNECTION_REFUSED
    assert error.details.startswith(f"upstream proxy 127.0.0.1:{p.port}: ")
    with pytest.raises(DialError):
        await upstream.reach()


async def test_a_stream_to_the_proxy_itself_says_nothing() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(3) == b"GET"

    async with parent(script) as p:
        upstream = p.upstream(login=CAROL)
        assert upstream.forwards
        assert upstream.login().may_repeat
        stream = await upstream.reach()
        await stream.send(b"GET")
        await stream.close()


# --- over TLS


AUTHORITY = trustme.CA()
YESTERDAY = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)


def serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


async def test_connect_goes_over_tls() -> None:
    script = Answers(refusal(), OK + b"early")
    async with parent(script, serving(AUTHORITY.issue_cert("proxy.example"))) as p:
        p.trust = trusting(AUTHORITY)
        stream = await p.upstream("https", CAROL, "proxy.example").open(SITE)
        assert await stream.receive() == b"early"
        await free(stream)


@pytest.mark.parametrize("case", ["name", "expired", "authority", "system"])
async def test_a_certificate_that_proves_nothing_ends_the_dial_and_no_login_is_sent(
    case: str,
) -> None:
    issuer = trustme.CA() if case == "authority" else AUTHORITY
    name = "other.example" if case == "name" else "proxy.example"
    certificate = issuer.issue_cert(name, not_after=YESTERDAY if case == "expired" else None)
    script = Answers(OK)
    async with parent(script, serving(certificate)) as p:
        # Without a context of its own it trusts whom the system does.
        p.trust = None if case == "system" else trusting(AUTHORITY)
        error = await fails(p.upstream("https", CAROL, "proxy.example"))
        assert error.failure is Failure.UPSTREAM_CERTIFICATE
        assert script.heads == []
