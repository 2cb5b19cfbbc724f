"""Streams through scripted upstream proxies: HTTP and HTTPS."""

from __future__ import annotations

import asyncio
import base64
import datetime
import ssl
from urllib.parse import quote

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.outbound.parents import CAROL, SITE, Script, fails, free, parent
from underpass.address import Address
from underpass.errors import DialError, Failure
from underpass.outbound.upstream import DEFAULT_PORTS, MAX_CHAIN, UpstreamProxy, parse_chain
from underpass.protocol.http.digest import Login

OK = b"HTTP/1.1 200 Connection established\r\n\r\n"
BASIC = b'Proxy-Authenticate: Basic realm="p"\r\n'
LOGIN = b"Proxy-Authorization: Basic " + base64.b64encode(b"carol:sesame") + b"\r\n"


def refusal(fields: bytes = BASIC, body: bytes = b"", status: bytes = b"407 Who?") -> bytes:
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, fields, len(body), body)


def answers(*responses: bytes) -> Script:
    """Answer the heads that come, over all streams, by a list; the heads are kept in it."""
    waiting = list(responses)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while waiting:
            try:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
            except asyncio.IncompleteReadError:
                return
            writer.write(waiting.pop(0))

    heads: list[bytes] = []
    script.heads = heads  # type: ignore[attr-defined]
    return script


def heads_of(script: Script) -> list[bytes]:
    heads: list[bytes] = script.heads  # type: ignore[attr-defined]
    return heads


# --- the URL


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://p.example:3128", UpstreamProxy("http", Address("p.example", 3128))),
        (
            "https://carol:se%40same@p.example:443",
            UpstreamProxy("https", Address("p.example", 443), Login("carol", "se@same")),
        ),
        ("http://p.example", UpstreamProxy("http", Address("p.example", 80))),
        ("HTTPS://p.example/", UpstreamProxy("https", Address("p.example", 443))),
        ("socks5h://p.example", UpstreamProxy("socks5", Address("p.example", 1080))),
        (
            "socks5://carol@[::1]:1080",
            UpstreamProxy("socks5", Address("::1", 1080), Login("carol", "")),
        ),
    ],
)
def test_a_url_is_parsed(url: str, proxy: UpstreamProxy) -> None:
    assert UpstreamProxy.parse(url) == proxy


@pytest.mark.parametrize(
    "url",
    [
        *("p.example:3128", "ftp://p:1", "http://", "http://:1", "http://a b:1", "http://p:99999"),
        *("http://p/path", "http://p?q", "http://p#f", "http://u:\tp@p:1", "socks4://p:1"),
        *("http://u%ff@p:1", "http://p:x"),
    ],
)
def test_what_is_no_url_of_a_proxy_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        UpstreamProxy.parse(url)


@pytest.mark.parametrize("url", ["http://u:sesame@p:99999", "ftp://u:sesame@p", "http://u:sesame@"])
def test_a_password_is_in_no_error(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        UpstreamProxy.parse(url)
    assert "sesame" not in str(caught.value)
    assert caught.value.__cause__ is None


@given(st.text(max_size=80), st.sampled_from(["", "http://", "https://u:p@", "socks5://"]))
def test_any_text_is_a_url_of_a_proxy_or_refused(text: str, before: str) -> None:
    try:
        proxy = UpstreamProxy.parse(before + text)
    except ValueError:
        return
    assert proxy.scheme in DEFAULT_PORTS
    assert proxy.name.endswith(str(proxy.address))


SECRET = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)


@given(st.sampled_from(sorted(DEFAULT_PORTS)), SECRET, SECRET, st.integers(1, 65535))
def test_what_is_quoted_comes_back(scheme: str, user: str, password: str, port: int) -> None:
    said = f"{quote(user, safe='')}:{quote(password, safe='')}"
    proxy = UpstreamProxy.parse(f"{scheme}://{said}@p.example:{port}")
    assert proxy == UpstreamProxy(scheme, Address("p.example", port), Login(user, password))


def test_a_chain_is_a_list_of_urls() -> None:
    chain = parse_chain("http://p.example:3128, socks5://q.example")
    assert [proxy.name for proxy in chain] == ["p.example:3128", "socks5 q.example:1080"]


@pytest.mark.parametrize("text", ["", "http://p,", ",".join(["http://p"] * (MAX_CHAIN + 1))])
def test_what_is_no_chain_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_chain(text)


def test_a_password_is_in_no_repr() -> None:
    assert "sesame" not in repr(UpstreamProxy("http", SITE, CAROL))


# --- HTTP CONNECT


async def test_a_stream_is_opened_by_connect_and_early_bytes_are_kept() -> None:
    script = answers(OK + b"early")
    async with parent(script) as p:
        stream = await p.upstream().open(SITE)
        assert await stream.receive() == b"early"
        [head] = heads_of(script)
        assert head == b"CONNECT site.example:443 HTTP/1.1\r\nHost: site.example:443\r\n\r\n"
        await free(stream)


async def test_interim_answers_are_passed_over() -> None:
    async with parent(answers(b"HTTP/1.1 103 Hints\r\n\r\n" + OK)) as p:
        await free(await p.upstream().open(Address("2001:db8::1", 443)))


async def test_a_challenge_is_answered_over_the_same_stream_and_remembered() -> None:
    script = answers(refusal(body=b"a page for people"), OK, OK)
    async with parent(script) as p:
        upstream = p.upstream(login=CAROL)
        await free(await upstream.open(SITE))
        assert p.accepted == 1
        await free(await upstream.open(SITE))
        assert [LOGIN in head for head in heads_of(script)] == [False, True, True]


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
    async with parent(answers(chunked + b"1\r\nx\r\n" * 3, OK)) as p:
        await free(await p.upstream(login=CAROL).open(SITE))
        assert p.accepted == 2


async def test_a_refused_login_ends_after_two_tries_at_most() -> None:
    def nonce(number: int) -> bytes:
        return refusal(b'Proxy-Authenticate: Digest realm="p", nonce="%d"\r\n' % number)

    script = answers(*(nonce(number) for number in range(9)))
    async with parent(script) as p:
        error = await fails(p.upstream(login=CAROL))
        assert error.failure is Failure.UPSTREAM_REFUSED
        assert error.parameters == {"received-status": 407}
        assert len([head for head in heads_of(script) if b"Digest" in head]) == 2


async def test_a_stale_nonce_is_renewed() -> None:
    def challenge(more: bytes) -> bytes:
        return refusal(b'Proxy-Authenticate: Digest realm="p", nonce=%s\r\n' % more)

    script = answers(challenge(b'"one"'), OK, challenge(b'"two", stale=true'), OK)
    async with parent(script) as p:
        upstream = p.upstream(login=CAROL)
        for _ in range(2):
            await free(await upstream.open(SITE))
        assert b'nonce="two"' in heads_of(script)[3]


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
    async with parent(answers(answer)) as p:
        error = await fails(p.upstream())
        assert error.failure is failure
        assert said in error.details


async def test_a_malformed_challenge_is_the_proxys_fault() -> None:
    async with parent(answers(refusal(b'Proxy-Authenticate: Basic realm="\r\n'))) as p:
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
    script = answers(refusal(), OK + b"early")
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
    script = answers(OK)
    async with parent(script, serving(certificate)) as p:
        # Without a context of its own it trusts whom the system does.
        p.trust = None if case == "system" else trusting(AUTHORITY)
        error = await fails(p.upstream("https", CAROL, "proxy.example"))
        assert error.failure is Failure.UPSTREAM_CERTIFICATE
        assert heads_of(script) == []
