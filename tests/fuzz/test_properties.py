"""Properties that hold for all inputs, not only for those that a table thought of."""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.access import Policy, Principal, denied_by_default
from underpass.address import Address
from underpass.errors import Failure, RemoteProtocolError
from underpass.protocol.grammar import Buffer, Need
from underpass.protocol.http.chunked import decode_chunked, encode_chunk, encode_last_chunk
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.framing import BodyKind, request_framing
from underpass.protocol.http.head import HTTP_11, RequestHead, parse_response_head
from underpass.protocol.http.refusal import Refusal, refusal_response

NOBODY = Principal("nobody")
LENGTH = re.compile(rb"[0-9]{1,19}")

v4 = st.ip_addresses(v=4)


def hiding_places(ip: ipaddress.IPv4Address) -> dict[str, str]:
    """The IPv6 addresses whose packets may end up at `ip`."""
    high, low = int(ip) >> 16, int(ip) & 0xFFFF
    pair = f"{high:x}:{low:x}"
    turned = f"{high ^ 0xFFFF:x}:{low ^ 0xFFFF:x}"
    return {
        "mapped": f"::ffff:{pair}",
        "translated": f"::ffff:0:{pair}",
        "compatible": f"::{pair}",
        "NAT64": f"64:ff9b::{pair}",
        "6to4": f"2002:{pair}::1",
        "Teredo client": f"2001:0:808:808:8000:1:{turned}",
        "Teredo server": f"2001:0:{pair}:8000:1:f7f7:f7f7",
        "ISATAP": f"2001:4860::5efe:{pair}",
    }


@given(v4)
def test_what_hides_a_denied_ipv4_is_denied(ip: ipaddress.IPv4Address) -> None:
    if denied_by_default(ip) is None:
        return
    for how, text in hiding_places(ip).items():
        address = Address.of(text, 443)
        assert address.ip is not None
        assert not Policy().allows(NOBODY, address, address.ip), how


@given(v4)
def test_every_ipv4_is_denied_just_where_it_is_no_public_address(
    ip: ipaddress.IPv4Address,
) -> None:
    allowed = bool(Policy().allows(NOBODY, Address.of(str(ip), 443), ip))
    public = ip.is_global and not ip.is_multicast
    # 6to4 relays (RFC 7526) are global to Python, and nobody's server.
    if ip in ipaddress.ip_network("192.88.99.0/24"):
        public = False
    # Two addresses of the protocol assignments are anycast services, which we leave closed.
    if ip in ipaddress.ip_network("192.0.0.0/24"):
        public = False
    assert allowed == public


@given(st.ip_addresses(v=6))
def test_every_public_ipv6_that_we_allow_is_global(ip: ipaddress.IPv6Address) -> None:
    if Policy().allows(NOBODY, Address.of(str(ip), 443), ip):
        kinds = (ip.is_private, ip.is_loopback, ip.is_link_local, ip.is_multicast)
        assert not any(kinds)


@given(st.one_of(st.binary(max_size=24), st.from_regex(rb"[0-9+_x, -]{1,24}", fullmatch=True)))
def test_a_length_is_one_to_nineteen_digits_and_nothing_else(value: bytes) -> None:
    fields = Fields([(b"Host", b"h"), (b"Content-Length", value)])
    head = RequestHead(b"POST", b"http://h/", HTTP_11, fields)
    if LENGTH.fullmatch(value):
        framing = request_framing(head)
        assert framing.length == int(value)
        assert (framing.kind is BodyKind.NONE) == (framing.length == 0)
    else:
        with pytest.raises(RemoteProtocolError):
            request_framing(head)


@given(st.lists(st.binary(max_size=64)), st.lists(st.integers(1, 40), min_size=1))
def test_chunks_come_back_however_they_are_cut(data: list[bytes], sizes: list[int]) -> None:
    wire = b"".join(map(encode_chunk, data)) + encode_last_chunk(Fields([(b"X-Sum", b"1")]))
    cuts = itertools.cycle(sizes)
    buffer = Buffer()
    trailers: list[Fields] = []

    def decoded() -> Generator[bytes | Need, None, None]:
        trailers.append((yield from decode_chunked(buffer)))

    body = b""
    for step in decoded():
        if isinstance(step, Need):
            size = next(cuts)
            assert wire, "more is wanted than there is"
            buffer.feed(wire[:size])
            wire = wire[size:]
        else:
            body += step
    assert body == b"".join(data)
    assert trailers == [Fields([(b"X-Sum", b"1")])]
    assert wire == b""


@given(st.sampled_from(Failure), st.text(), st.dictionaries(st.just("rcode"), st.text()))
def test_no_text_of_a_refusal_can_make_a_line_of_its_own(
    failure: Failure, details: str, parameters: dict[str, str]
) -> None:
    refusal = Refusal(failure, details, parameters=parameters)
    answer = refusal_response(refusal, "underpass", close=True)
    head, _, body = answer.partition(b"\r\n\r\n")
    parsed = parse_response_head(head + b"\r\n\r\n")
    assert parsed.status == failure.status
    assert {name for name, _ in parsed.fields} <= {
        b"Content-Type",
        b"Content-Length",
        b"Cache-Control",
        b"Proxy-Status",
        b"X-Request-Id",
        b"Connection",
    }
    assert parsed.fields.get(b"content-length") == b"%d" % len(body)
    assert all(0x20 <= byte < 0x7F or byte == 0x0A for byte in body)
