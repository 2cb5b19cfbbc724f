"""A refusal: a whole response that says why, to machines and to people, and whose it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.errors import Failure
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import ResponseHead, parse_response_head
from underpass.protocol.http.refusal import Refusal, refusal_response


def parsed(response: bytes) -> tuple[ResponseHead, bytes]:
    head, _, body = response.partition(b"\r\n\r\n")
    return parse_response_head(head + b"\r\n\r\n"), body


def test_a_refusal_in_full() -> None:
    refusal = Refusal(
        Failure.DNS_ERROR,
        "example.invalid does not exist",
        Fields([(b"Retry-After", b"3")]),
        {"rcode": "NXDOMAIN"},
    )
    status = b'us;error=dns_error;rcode="NXDOMAIN";details="example.invalid does not exist"'
    body = (
        b"underpass: 502 Bad Gateway\n\n"
        b"Name could not be resolved: example.invalid does not exist.\n"
        b"Check the name.\n"
        b"Request 1a2b3c4d.\n"
    )
    assert refusal_response(refusal, "us", close=True, request_id="1a2b3c4d") == (
        b"HTTP/1.1 502 Bad Gateway\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: %d\r\n"
        b"Cache-Control: no-store\r\n"
        b"Proxy-Status: %s\r\n"
        b"X-Request-Id: 1a2b3c4d\r\n"
        b"Retry-After: 3\r\n"
        b"Connection: close\r\n\r\n%s" % (len(body), status, body)
    )


@pytest.mark.parametrize("failure", Failure)
def test_every_failure_has_its_answer(failure: Failure) -> None:
    head, body = parsed(refusal_response(Refusal(failure), "us", close=False))
    assert head.status == failure.status
    assert head.reason
    assert head.fields.get(b"content-length") == b"%d" % len(body)
    assert head.fields.get(b"proxy-status") == f"us;error={failure.proxy_error}".encode()
    assert failure.phrase[1:].encode() in body
    assert b"connection" not in head.fields
    assert b"x-request-id" not in head.fields
    assert b"\nRequest " not in body.split(b"\n\n")[1]


def test_the_answer_to_head_is_the_head_alone() -> None:
    refusal = Refusal(Failure.FORBIDDEN)
    whole = refusal_response(refusal, "us", close=False)
    head = refusal_response(refusal, "us", close=False, head_only=True)
    assert whole.startswith(head)
    assert head.endswith(b"\r\n\r\n")
    assert parsed(whole)[0].fields.get(b"content-length") not in (None, b"0")


@given(st.text(max_size=300))
def test_what_a_peer_said_cannot_break_the_answer(details: str) -> None:
    response = refusal_response(Refusal(Failure.BAD_TARGET, details), "us", close=True)
    head, body = parsed(response)
    assert len(head.fields) == 5
    assert body.isascii()
    assert body.count(b"\n") == 4
