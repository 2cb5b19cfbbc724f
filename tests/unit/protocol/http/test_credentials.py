"""Proxy-Authorization as it comes in: what is understood, what counts as none, what is refused."""

from __future__ import annotations

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.errors import RemoteProtocolError
from underpass.protocol.http.credentials import (
    Basic,
    Bearer,
    basic_challenge,
    bearer_challenge,
    parse_proxy_authorization,
)
from underpass.protocol.http.fields import Fields


def parse(*values: bytes) -> Basic | Bearer | None:
    return parse_proxy_authorization(Fields([(b"Proxy-Authorization", value) for value in values]))


def basic(text: str | bytes) -> bytes:
    return b"Basic " + base64.b64encode(text.encode() if isinstance(text, str) else text)


@pytest.mark.parametrize(
    ("value", "credentials"),
    [
        # RFC 7617 section 2, and its section 2.1 in UTF-8.
        (b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", Basic("Aladdin", "open sesame")),
        (b"Basic dGVzdDoxMjPCow==", Basic("test", "123£")),
        (basic("a:b:c"), Basic("a", "b:c")),
        (basic(":"), Basic("", "")),
        (basic("user:"), Basic("user", "")),
        (b"bAsIc   YTpi", Basic("a", "b")),
        # RFC 6750 section 2.1.
        (b"Bearer mF_9.B5f-4.1JqM", Bearer("mF_9.B5f-4.1JqM")),
        (b"BEARER a+/~==", Bearer("a+/~==")),
    ],
)
def test_credentials_that_are_understood(value: bytes, credentials: Basic | Bearer) -> None:
    assert parse(value) == credentials


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Basic",
        b"Basic ",
        b"Basic\tYTpi",
        b"Basic YTpi x",
        b"Basic YTpi, Basic YTpi",
        b"Basic YTp",
        b"Basic YT-_",
        basic("no colon"),
        basic(b"\xff:\xff"),
        basic("a:b\r\nc"),
        basic("a\x00:b"),
        basic("a\x7f:b"),
        b"Bearer",
        b"Bearer =",
        b"Bearer a b",
        b'Digest username="a"',
        b"Negotiate YIIabc==",
    ],
)
def test_what_is_not_understood_is_as_good_as_none(value: bytes) -> None:
    assert parse(value) is None


def test_without_the_field_there_are_none() -> None:
    assert parse() is None


def test_two_fields_are_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="more than one"):
        parse(basic("a:b"), basic("a:b"))


def test_secrets_are_not_printed() -> None:
    assert "sesame" not in repr(Basic("Aladdin", "sesame"))
    assert "sesame" not in repr(Bearer("sesame"))


def test_challenges() -> None:
    assert basic_challenge("here") == b'Basic realm="here", charset="UTF-8"'
    assert bearer_challenge("here") == b'Bearer realm="here"'


printable = st.text(max_size=20).filter(str.isprintable)


@given(printable.filter(lambda user: ":" not in user), printable)
def test_what_a_client_encodes_is_what_we_read(user: str, password: str) -> None:
    assert parse(basic(f"{user}:{password}")) == Basic(user, password)


@given(st.binary(max_size=40), st.sampled_from([b"", b"Basic ", b"Bearer "]))
def test_bytes_raise_one_exception_and_nothing_else(value: bytes, scheme: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        parse(scheme + value)
