"""No input costs more than in proportion to its length: what backtracks is found here.

The bound is wide, for slow and busy machines; what is quadratic takes minutes for such lengths.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pytest

from underpass.access import Effect, Rule
from underpass.errors import RemoteProtocolError
from underpass.protocol.http.credentials import parse_proxy_authorization
from underpass.protocol.http.digest import parse_challenges
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import HeadLimits, parse_request_head, parse_response_head
from underpass.protocol.http.rules import has_loop
from underpass.protocol.http.target import parse_absolute, parse_authority

SIZE = 1 << 18
# CPU seconds.
BOUND = 2.0

WIDE = HeadLimits(target=SIZE * 2, section=SIZE * 2, fields=SIZE)


def many(piece: bytes) -> bytes:
    """`piece` again and again, `SIZE` bytes in all."""
    return piece * (SIZE // len(piece))


def _request(field: bytes) -> None:
    parse_request_head(b"GET http://h/ HTTP/1.1\r\nHost: h\r\n" + field + b"\r\n\r\n", WIDE)


def _line(line: bytes) -> None:
    parse_request_head(line + b"\r\nHost: h\r\n\r\n", WIDE)


def _response(line: bytes) -> None:
    parse_response_head(line + b"\r\n\r\n", WIDE)


def _challenge(value: bytes) -> None:
    parse_challenges([b"Digest " + value])


def _credentials(value: bytes) -> None:
    parse_proxy_authorization(Fields([(b"Proxy-Authorization", value)]))


def _absolute(target: bytes) -> None:
    parse_absolute(target, b"GET")


def _rule(text: bytes) -> None:
    Rule.parse(Effect.ALLOW, text.decode("ascii"))


def _via(value: bytes) -> None:
    has_loop(Fields([(b"Via", value)]), b"x")


CASES: tuple[tuple[Callable[[bytes], object], bytes], ...] = (
    (_request, b"A: b" + many(b" ") + b"\0"),
    (_request, b"A: " + many(b"b ") + b"\0"),
    (_request, b"A: " + many(b"b\t \t") + b"\0"),
    (_request, b"A:" + many(b"\t") + b"\0"),
    (_request, many(b"A") + b"\0"),
    (_request, many(b"A:b\r\n") + b"A"),
    (_line, many(b"A") + b"\0 http://h/ HTTP/1.1"),
    (_line, b"GET " + many(b"a") + b"\0 HTTP/1.1"),
    (_line, many(b"GET ")),
    (_response, b"HTTP/1.1 200 " + many(b"a ") + b"\0"),
    (_challenge, b'a="' + many(b'\\"')),
    (_challenge, b'a="' + many(b"\\")),
    (_challenge, many(b" ") + b'"'),
    (_challenge, many(b", ") + b'"'),
    (_challenge, many(b"a=b,") + b'"'),
    (_challenge, many(b"a") + b'"'),
    (_challenge, many(b"a ") + b'"'),
    (_challenge, many(b'a="b" ') + b'"'),
    (_credentials, b"Basic " + many(b" ") + b"!"),
    (_credentials, b"Basic " + many(b"A") + b"!"),
    (_credentials, b"Basic A" + many(b"=") + b"!"),
    (parse_authority, many(b"a.") + b":1"),
    (parse_authority, many(b"1.") + b":1"),
    (parse_authority, many(b"1") + b"x:1"),
    (parse_authority, many(b"a-") + b":1"),
    (parse_authority, b"[" + many(b":") + b"]:1"),
    (parse_authority, many(b":")),
    (_absolute, many(b"a") + b":/"),
    (_absolute, b"http://" + many(b"a.") + b"/"),
    (_absolute, b"http://h/" + many(b"a") + b"\0"),
    (_rule, many(b"a.") + b"-:1"),
    (_rule, many(b"*.")),
    (_via, many(b", ")),
    (_via, many(b"a ")),
)


@pytest.mark.slow
@pytest.mark.parametrize(("parse", "data"), CASES, ids=[str(n) for n in range(len(CASES))])
def test_a_long_input_is_parsed_in_linear_time(
    parse: Callable[[bytes], object], data: bytes
) -> None:
    started = time.thread_time()
    with contextlib.suppress(RemoteProtocolError, ValueError):
        parse(data)
    assert time.thread_time() - started < BOUND
