"""Parsers of small texts: targets, credentials, challenges, SOCKS, rules, configuration, places."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.target import Target, expect, pieces
from underpass.access import Effect, Rule
from underpass.address import Address, ListenAddress
from underpass.config import load_proxy_options
from underpass.errors import (
    ConfigurationError,
    DialError,
    LocalProtocolError,
    RemoteProtocolError,
)
from underpass.option_text import show
from underpass.outbound.via import Via
from underpass.protocol.grammar import Buffer, EndOfData, Need
from underpass.protocol.http.credentials import parse_proxy_authorization
from underpass.protocol.http.digest import Answerer, Login, Request, parse_challenges
from underpass.protocol.http.fields import Fields, check_field
from underpass.protocol.http.head import HTTP_11, RequestHead, serialise_request
from underpass.protocol.http.target import form_of, parse_absolute, parse_authority
from underpass.protocol.socks import connect_through


def fuzz_authority(data: bytes, rng: random.Random) -> None:
    """CONNECT's target: an address that reads the same again, or the one exception."""
    try:
        address = parse_authority(data)
    except RemoteProtocolError:
        return
    expect(Address.parse(str(address)) == address, f"{address} reads otherwise")
    expect(address.host == address.host.lower(), "not in canonical form")
    expect(str(address).encode("ascii").isascii(), "not ASCII")


def fuzz_absolute(data: bytes, rng: random.Random) -> None:
    """An absolute target: what is made of it can be written as a request for the origin."""
    method = rng.choice((b"GET", b"OPTIONS"))
    try:
        form_of(RequestHead(method, data, HTTP_11, Fields()))
        target = parse_absolute(data, method)
    except RemoteProtocolError:
        return
    head = RequestHead(method, target.origin_form, HTTP_11, Fields([(b"Host", target.host_field)]))
    serialise_request(head)
    expect(target.origin_form.startswith((b"/", b"*")), "an origin-form without a slash")
    authority = target.host_field
    if target.address.port == 80 and not authority.endswith(b":80"):
        authority += b":80"
    expect(parse_authority(authority) == target.address, "Host names another address")


def fuzz_credentials(data: bytes, rng: random.Random) -> None:
    """Proxy-Authorization: printable users, or none, or the one exception."""
    fields = [(b"Proxy-Authorization", value) for value in data.split(b"\n")]
    try:
        credentials = parse_proxy_authorization(Fields(fields))
    except RemoteProtocolError:
        return
    shown = repr(credentials)
    expect(shown.isprintable(), "an unprintable repr")
    for secret in (getattr(credentials, "password", ""), getattr(credentials, "token", "")):
        expect(len(secret) < 4 or secret not in shown, "a secret in a repr")


def fuzz_challenges(data: bytes, rng: random.Random) -> None:
    """Proxy-Authenticate: an answer that stands as one field, or none, or the one exception."""
    try:
        check_field(b"Proxy-Authenticate", data)
    except LocalProtocolError:
        # No head could bring it.
        return
    try:
        challenges = parse_challenges([data])
    except RemoteProtocolError:
        return
    answerer = Answerer(Login("user", 'pa"ss\\word'))
    if answerer.take(challenges) is None:
        return
    answer = answerer.answer(Request("CONNECT", "h:1"), "0123456789abcdef")
    expect(answer, "no answer to a challenge that was taken")
    check_field(b"Proxy-Authorization", answer or b"")


def fuzz_socks(data: bytes, rng: random.Random) -> None:
    """The replies of a SOCKS5 proxy: a stream, or one of the documented exceptions."""
    login = rng.choice((None, Login("user", "password")))
    address = rng.choice(("example.com:80", "192.0.2.1:1", "[2001:db8::1]:65535"))
    buffer = Buffer()
    waiting = pieces(data, rng)
    try:
        for step in connect_through(buffer, Address.parse(address), login):
            if isinstance(step, Need):
                if waiting:
                    buffer.feed(waiting.pop(0))
                else:
                    buffer.end()
    except (DialError, RemoteProtocolError, EndOfData):
        return


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _as_text(run: Callable[[str], None]) -> Callable[[bytes, random.Random], None]:
    """A run over text that raises `ValueError` for what it does not take."""

    def fuzz(data: bytes, rng: random.Random) -> None:
        try:
            run(_text(data))
        except ValueError:
            return

    return fuzz


def read_rule(text: str) -> None:
    """A rule reads the same again when it is written."""
    rule = Rule.parse(Effect.ALLOW, text)
    expect(Rule.parse(Effect.ALLOW, str(rule)) == rule, f"{rule} reads otherwise")
    expect(str(rule).isprintable(), "an unprintable rule")


def read_listen(text: str) -> None:
    """So does a listener's place."""
    place = ListenAddress.parse(text)
    expect(ListenAddress.parse(str(place)) == place, f"{place} reads otherwise")


def read_via(text: str) -> None:
    """So does an upstream proxy's; printed, it holds no password."""
    via = Via.parse(text)
    expect(Via.parse(via.url) == via, "reads otherwise")
    if len(via.password) > 3 and via.password not in f"{via.scheme}{via.address}{via.user}":
        expect(via.password not in f"{via!r} {via}", "a password in print")


def fuzz_config(data: bytes, rng: random.Random) -> None:
    """A configuration file: options that can be shown, or its own exception with one line."""
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        file.write(data)
        file.flush()
        try:
            options = load_proxy_options(Path(file.name))
        except ConfigurationError as error:
            expect(str(error).isprintable(), f"an unprintable error: {error!r}")
            return
        show(options)


CONFIGS = (
    b"[proxy]\nlisten = ['127.0.0.1:0', '[::1]:8080', 'unix:/run/x']\nallow = ['*.b:443']\n",
    b"[proxy]\nauth = \"basic\"\nvia = 'http://p.example:3128'\ndeny = ['10.0.0.0/8']\n",
    b"[proxy]\nlog = 'json'\nworkers = 2\n[proxy.limits]\nhead_timeout = 1.5\n",
    b"proxy.limits = { max_body_bytes = 0, drain_timeout = 1e3 }\nproxy.metrics = 'a:1'\n",
)

TEXTS = (
    Target(
        "authority",
        (
            b"example.com:443",
            b"127.0.0.1:1",
            b"[::1]:65535",
            b"[::ffff:127.0.0.1]:80",
            b"[2001:db8::1]:8080",
            b"xn--a_b-c.EXAMPLE.com.:80",
        ),
        fuzz_authority,
    ),
    Target(
        "absolute",
        (
            b"http://example.com/",
            b"HTTP://Example.com:80/a%20b?c=d&e",
            b"ws://127.0.0.1:8080",
            b"http://[2001:db8::1]?query",
            b"http://[::1]:1/a;b='c'",
        ),
        fuzz_absolute,
    ),
    Target(
        "credentials",
        (
            b"Basic dXNlcjpwYXNzd29yZA==",
            b"basic  w6Q6w7w=",
            b"Bearer abcDEF-._~+/0123==",
            b'Digest username="a"',
            b"Basic YTpi\nBasic YTpi",
        ),
        fuzz_credentials,
    ),
    Target(
        "challenges",
        (
            b'Basic realm="a", charset="UTF-8"',
            b'Digest realm="a\\"b", nonce="c", qop="auth,auth-int", algorithm=SHA-256, opaque="d"',
            b'Digest realm="a", nonce="b", stale=TRUE, algorithm=MD5-sess, Basic realm=c',
            b'Negotiate, NTLM, Digest realm="\xe4", nonce=n',
        ),
        fuzz_challenges,
    ),
    Target(
        "socks",
        (
            b"\x05\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50rest",
            b"\x05\x02\x01\x00\x05\x00\x00\x03\x04name\x00\x50",
            b"\x05\x00\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00",
            b"\x05\x00\x05\x00\x00\x04" + bytes(16) + b"\x00\x50",
        ),
        fuzz_socks,
    ),
    Target(
        "rule",
        (
            b"*",
            b"*.example.com:443",
            b"10.0.0.0/8:1-1024",
            b"[::1]:8000-8100",
            b"fc00::/7",
            b"2001:db8::1",
        ),
        _as_text(read_rule),
    ),
    Target(
        "listen",
        (b"127.0.0.1:0", b"[::]:8080", b"localhost:80", b"unix:/run/under pass.sock"),
        _as_text(read_listen),
    ),
    Target(
        "via",
        (
            b"http://user:p%40ss@proxy.example:3128",
            b"https://proxy.example/",
            b"socks5://user%3a:secret@[::1]:1080",
        ),
        _as_text(read_via),
    ),
    Target("config", CONFIGS, fuzz_config),
)
