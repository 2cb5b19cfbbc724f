"""The forms of a target, and where each leads; everything in between is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.address import Address
from underpass.errors import Failure, RemoteProtocolError
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import HTTP_11, RequestHead
from underpass.protocol.http.target import (
    AbsoluteTarget,
    TargetForm,
    form_of,
    parse_absolute,
    parse_authority,
)


def head(method: bytes, target: bytes) -> RequestHead:
    return RequestHead(method, target, HTTP_11, Fields())


@pytest.mark.parametrize(
    ("method", "target", "form"),
    [
        (b"GET", b"/", TargetForm.ORIGIN),
        (b"GET", b"/a?b=/c", TargetForm.ORIGIN),
        (b"GET", b"//h/a", TargetForm.ORIGIN),
        (b"GET", b"http://h/", TargetForm.ABSOLUTE),
        (b"OPTIONS", b"http://h", TargetForm.ABSOLUTE),
        (b"GET", b"ftp://h/", TargetForm.ABSOLUTE),
        (b"OPTIONS", b"*", TargetForm.ASTERISK),
        (b"CONNECT", b"h:1", TargetForm.AUTHORITY),
        (b"CONNECT", b"/", TargetForm.AUTHORITY),
        (b"CONNECT", b"http://h/", TargetForm.AUTHORITY),
    ],
)
def test_forms(method: bytes, target: bytes, form: TargetForm) -> None:
    assert form_of(head(method, target)) is form


@pytest.mark.parametrize(
    ("method", "target"),
    [
        (b"GET", b"*"),
        (b"GET", b"h:1"),
        (b"GET", b"h"),
        (b"GET", b"http:/h"),
        (b"GET", b"http://h/#f"),
        (b"GET", b"/a#f"),
        (b"GET", b"/\xff"),
        (b"connect", b"h:1"),
    ],
)
def test_a_target_of_no_form_is_refused(method: bytes, target: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        form_of(head(method, target))
    assert caught.value.failure is Failure.BAD_TARGET


@pytest.mark.parametrize(
    ("target", "address"),
    [
        (b"Example.COM:443", "example.com:443"),
        (b"example.com.:443", "example.com:443"),
        (b"xn--bcher-kva.example:80", "xn--bcher-kva.example:80"),
        (b"192.0.2.1:1", "192.0.2.1:1"),
        (b"[2001:DB8:0::1]:65535", "[2001:db8::1]:65535"),
    ],
)
def test_an_authority_is_an_address(target: bytes, address: str) -> None:
    assert str(parse_authority(target)) == address


@pytest.mark.parametrize(
    "target",
    [
        *(b"h:1/", b"h:1?", b"h:1#", b"user:pass@h:1", b"http://h:1", b"h", b"h:", b":1", b":"),
        *(b"h:65536", b"h:rubbish", b"h:0", b"h:+80", b"h: 80", b"h:80 ", b"h:8_0", b"h:080"),
        *(b"::1:80", b"[::1]", b"[::1%25eth0]:1", b"[h]:1", b"[::1]x:1", b"127.1:80", b"0x7f.1:80"),
        *(
            b"h\x00:1",
            b"h%00:1",
            b"a" * 256 + b":1",
            b"b\xc3\xbccher:1",
            b"\xd9\xa1:1",
            b"h:\xd9\xa1",
        ),
    ],
)
def test_an_authority_that_is_refused(target: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="bad target") as caught:
        parse_authority(target)
    assert caught.value.failure is Failure.BAD_TARGET
    # An answer never repeats what it was sent.
    assert target.decode("latin-1") not in caught.value.reason or len(target) < 3


@pytest.mark.parametrize(
    ("target", "method", "address", "origin_form", "host"),
    [
        (b"http://h", b"GET", "h:80", b"/", b"h"),
        (b"http://h", b"OPTIONS", "h:80", b"*", b"h"),
        (b"http://h/", b"OPTIONS", "h:80", b"/", b"h"),
        (b"http://h?q", b"GET", "h:80", b"/?q", b"h"),
        (b"HTTP://H:8080/a%20b?c=d|e", b"GET", "h:8080", b"/a%20b?c=d|e", b"H:8080"),
        (b"http://h:/a", b"GET", "h:80", b"/a", b"h"),
        (b"http://[::1]/", b"GET", "[::1]:80", b"/", b"[::1]"),
        (b"http://[::1]:81/", b"GET", "[::1]:81", b"/", b"[::1]:81"),
        (b"ws://h/chat", b"GET", "h:80", b"/chat", b"h"),
    ],
)
def test_an_absolute_target_leads_somewhere(
    target: bytes, method: bytes, address: str, origin_form: bytes, host: bytes
) -> None:
    expected = AbsoluteTarget(Address.parse(address), origin_form, host)
    found = parse_absolute(target, method)
    assert found == expected
    # For the next proxy the same in absolute-form.
    path = b"" if origin_form == b"*" else origin_form
    assert found.absolute_form == b"http://" + host + path


@pytest.mark.parametrize(
    ("target", "failure"),
    [
        (b"http:/h", Failure.BAD_TARGET),
        (b"http://", Failure.BAD_TARGET),
        (b"http:///a", Failure.BAD_TARGET),
        (b"http://h/#f", Failure.BAD_TARGET),
        (b"http://h/ ", Failure.BAD_TARGET),
        (b"http://h/\x7f", Failure.BAD_TARGET),
        (b"http://h?\xff", Failure.BAD_TARGET),
        (b"http://user@h/", Failure.BAD_TARGET),
        (b"http://h:1@evil/", Failure.BAD_TARGET),
        (b"http://h\\@evil/", Failure.BAD_TARGET),
        (b"http://h:0/", Failure.BAD_TARGET),
        (b"http://h:65536/", Failure.BAD_TARGET),
        (b"http://h:80:80/", Failure.BAD_TARGET),
        (b"http://::1/", Failure.BAD_TARGET),
        (b"http://[::1]80/", Failure.BAD_TARGET),
        (b"http://h%2eexample/", Failure.BAD_TARGET),
        (b"https://h/", Failure.NOT_IMPLEMENTED),
        (b"wss://h/", Failure.NOT_IMPLEMENTED),
        (b"ftp://h/", Failure.NOT_IMPLEMENTED),
    ],
)
def test_an_absolute_target_that_is_refused(target: bytes, failure: Failure) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_absolute(target, b"GET")
    assert caught.value.failure is failure


@given(
    st.binary(max_size=40) | st.from_regex(rb"http://[!-~]{0,20}(/[ -~]{0,10})?", fullmatch=True)
)
def test_bytes_raise_one_exception_and_nothing_else(target: bytes) -> None:
    for method in (b"GET", b"OPTIONS", b"CONNECT"):
        with contextlib.suppress(RemoteProtocolError):
            form_of(head(method, target))
        with contextlib.suppress(RemoteProtocolError):
            parse_authority(target)
        with contextlib.suppress(RemoteProtocolError):
            found = parse_absolute(target, method)
            assert parse_authority(found.host_field + b":80" * (b":" not in found.host_field))


labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
hosts = st.one_of(
    st.builds("{}.example".format, labels),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map("[{}]".format),
)


@given(hosts, st.integers(1, 65535), st.from_regex(r"/[a-z0-9/?&=%]{0,20}", fullmatch=True))
def test_what_a_client_writes_is_what_is_asked_for(host: str, port: int, path: str) -> None:
    authority = f"{host}:{port}"
    found = parse_absolute(f"http://{authority}{path}".encode(), b"GET")
    assert found.address == Address.parse(authority)
    assert found.origin_form == path.encode()
    assert found.host_field == authority.encode()
