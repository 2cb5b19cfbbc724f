"""SOCKS5 as dialogues: what we say, what the proxy says, however its bytes are cut."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.address import Address
from underpass.errors import DialError, Failure, RemoteProtocolError
from underpass.protocol.grammar import Buffer, EndOfData, Need
from underpass.protocol.http.digest import Login
from underpass.protocol.socks import connect_through

NAME = Address.parse("example.com:443")
LOGIN = Login("user", "pässword")
GREETING = b"\x05\x01\x00"
GREETING_WITH_LOGIN = b"\x05\x02\x00\x02"
LOGGING_IN = b"\x01\x04user\x09p\xc3\xa4ssword"
CONNECT_NAME = b"\x05\x01\x00\x03\x0bexample.com\x01\xbb"
OPENED = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"


def talk(
    pieces: list[bytes], address: Address = NAME, login: Login | None = None
) -> tuple[bytes, bytes]:
    """Run the dialogue against `pieces`; return what we said and what was left over."""
    buffer = Buffer()
    said = b""
    waiting = iter(pieces)
    for step in connect_through(buffer, address, login):
        if not isinstance(step, Need):
            said += step
            continue
        piece = next(waiting, None)
        if piece is None:
            buffer.end()
        else:
            buffer.feed(piece)
    return said, buffer.take(len(buffer))


DIALOGUES = [
    (NAME, None, b"\x05\x00" + OPENED, GREETING + CONNECT_NAME),
    (NAME, LOGIN, b"\x05\x00" + OPENED, GREETING_WITH_LOGIN + CONNECT_NAME),
    (NAME, LOGIN, b"\x05\x02\x01\x00" + OPENED, GREETING_WITH_LOGIN + LOGGING_IN + CONNECT_NAME),
    (
        Address.parse("192.0.2.1:80"),
        None,
        b"\x05\x00\x05\x00\x00\x04" + bytes(18),
        GREETING + b"\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50",
    ),
    (
        Address.parse("[2001:db8::1]:80"),
        None,
        b"\x05\x00\x05\x00\x00\x03\x05proxy\x00\x50",
        GREETING + b"\x05\x01\x00\x04\x20\x01\x0d\xb8" + bytes(11) + b"\x01\x00\x50",
    ),
]


@pytest.mark.parametrize(("address", "login", "heard", "said"), DIALOGUES)
def test_a_stream_is_opened(
    address: Address, login: Login | None, heard: bytes, said: bytes
) -> None:
    assert talk([heard], address, login) == (said, b"")
    assert talk([heard[i : i + 1] for i in range(len(heard))], address, login) == (said, b"")
    assert talk([heard + b"SSH-2.0"], address, login) == (said, b"SSH-2.0")


@pytest.mark.parametrize(("address", "login", "heard", "said"), DIALOGUES)
def test_an_answer_cut_anywhere_opens_nothing(
    address: Address, login: Login | None, heard: bytes, said: bytes
) -> None:
    for cut in range(len(heard)):
        with pytest.raises(EndOfData):
            talk([heard[:cut]] if cut else [], address, login)


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        (1, Failure.UPSTREAM_REFUSED),
        (2, Failure.FORBIDDEN),
        (3, Failure.NETWORK_UNREACHABLE),
        (4, Failure.HOST_UNREACHABLE),
        (5, Failure.CONNECTION_REFUSED),
        (6, Failure.CONNECTION_TIMEOUT),
        (7, Failure.UPSTREAM_REFUSED),
        (8, Failure.UPSTREAM_REFUSED),
        (255, Failure.UPSTREAM_REFUSED),
    ],
)
def test_a_refusal_says_why(reply: int, failure: Failure) -> None:
    with pytest.raises(DialError, match=f"SOCKS reply {reply}") as caught:
        talk([b"\x05\x00\x05%c\x00\x01" % reply])
    assert caught.value.failure is failure


@pytest.mark.parametrize(
    ("heard", "login"),
    [
        (b"\x05\xff", None),
        (b"\x05\xff", LOGIN),
        (b"\x05\x02", None),
        (b"\x05\x01", LOGIN),
        (b"\x05\x02\x01\x01", LOGIN),
    ],
)
def test_a_login_that_is_wanted_or_refused(heard: bytes, login: Login | None) -> None:
    with pytest.raises(DialError, match="login") as caught:
        talk([heard], login=login)
    assert caught.value.failure is Failure.UPSTREAM_REFUSED


@pytest.mark.parametrize(
    "login", [Login("", "x"), Login("x", ""), Login("x" * 256, "x"), Login("x", "ä" * 128)]
)
def test_a_login_that_socks_cannot_carry_is_not_sent(login: Login) -> None:
    with pytest.raises(DialError, match="1 to 255 bytes"):
        talk([b"\x05\x02"], login=login)


@pytest.mark.parametrize(
    "heard",
    [
        b"\x04\x00",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\x05\x02\x05\x00",
        b"\x05\x00\x04\x00\x00\x01",
        b"\x05\x00\x05\x00\x00\x02",
    ],
)
def test_what_is_no_socks5_breaks_the_protocol(heard: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        talk([heard], login=LOGIN)
    assert caught.value.failure is Failure.UPSTREAM_PROTOCOL


@given(st.binary(max_size=40), st.booleans())
def test_bytes_raise_nothing_else(data: bytes, with_login: bool) -> None:
    with contextlib.suppress(RemoteProtocolError, DialError, EndOfData):
        talk([b"\x05" + data], login=LOGIN if with_login else None)
