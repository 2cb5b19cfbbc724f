"""How messages are changed."""

from __future__ import annotations

import random

import pytest

from underpass.address import Address
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.framing import BodyKind
from underpass.protocol.http.head import HTTP_10, HTTP_11, RequestHead, ResponseHead
from underpass.protocol.http.target import AbsoluteTarget
from underpass.testing.middlebox import Behaviour
from underpass.testing.middlebox.messages import (
    altered,
    change_request,
    change_response,
    encode_body,
    encode_end,
    encode_request,
)

TARGET = AbsoluteTarget(Address("a.example", 80), b"/page", b"a.example")
UPGRADE = [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")]


def request(*pairs: tuple[bytes, bytes]) -> RequestHead:
    fields = Fields([(b"Host", b"a.example"), *pairs])
    return RequestHead(b"GET", b"http://a.example/page", HTTP_11, fields)


def response(*pairs: tuple[bytes, bytes]) -> ResponseHead:
    return ResponseHead(200, b"OK", HTTP_11, Fields(pairs))


@pytest.mark.parametrize(
    ("behaviour", "passes"),
    [
        (Behaviour(), True),
        (Behaviour(strip_upgrade=True), False),
        (Behaviour(http_10=True), False),
    ],
)
def test_upgrade_passes_or_not(behaviour: Behaviour, passes: bool) -> None:
    changed = change_request(request(*UPGRADE), TARGET, behaviour)
    assert (changed.fields.get(b"upgrade") is not None) is passes
    assert changed.target == b"/page"


def test_fields_are_lower_cased_taken_out_and_added() -> None:
    behaviour = Behaviour(
        lower_names=True, drop_fields=frozenset({b"prefer"}), add_fields=((b"X-Seen", b"1"),)
    )
    changed = change_request(request((b"Prefer", b"wait=1")), TARGET, behaviour)
    assert [name for name, _ in changed.fields][:2] == [b"host", b"x-seen"]
    assert changed.fields.get(b"prefer") is None
    assert changed.fields.get(b"via") == b"1.1 box"


def test_a_body_is_altered_in_one_byte() -> None:
    head = change_request(request(), TARGET, Behaviour())
    message = encode_request(head, b"body", Behaviour(alter=True), random.Random(1))
    assert len(message.partition(b"\r\n\r\n")[2]) == 4
    assert not message.endswith(b"body")
    assert altered(altered(b"body", 2), 2) == b"body"


def test_a_chunked_response_stays_chunked_but_for_http_10() -> None:
    head = change_response(response(), BodyKind.CHUNKED, Behaviour())
    assert encode_body(b"abc", head, Behaviour(), is_first=True) == b"3\r\nabc\r\n"
    assert encode_end(head) == b"0\r\n\r\n"
    old = change_response(response(), BodyKind.CHUNKED, Behaviour(http_10=True))
    assert old.version == HTTP_10
    assert old.fields.get(b"connection") == b"close"
    assert encode_body(b"abc", old, Behaviour(http_10=True), is_first=True) == b"abc"
    assert encode_end(old) == b""


def test_a_length_counts_what_is_put_in_front() -> None:
    behaviour = Behaviour(inject=b"<ad>")
    head = change_response(response((b"Content-Length", b"3")), BodyKind.LENGTH, behaviour)
    assert head.fields.get(b"content-length") == b"7"
    assert encode_body(b"abc", head, behaviour, is_first=True) == b"<ad>abc"
    assert encode_body(b"def", head, behaviour, is_first=False) == b"def"


def test_no_body_is_said_to_be_none() -> None:
    assert (
        change_response(response(), BodyKind.NONE, Behaviour()).fields.get(b"content-length")
        == b"0"
    )


def test_the_first_piece_is_altered() -> None:
    head = change_response(response((b"Content-Length", b"3")), BodyKind.LENGTH, Behaviour())
    behaviour = Behaviour(alter=True)
    assert encode_body(b"abc", head, behaviour, is_first=True) == altered(b"abc", 1)
    assert encode_body(b"abc", head, behaviour, is_first=False) == b"abc"
