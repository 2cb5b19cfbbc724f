"""What is read in one step means what `serve_socks` takes it for, or is left to that."""

from __future__ import annotations

import contextlib

import pytest

from underpass.address import Address
from underpass.errors import RemoteProtocolError
from underpass.protocol.grammar import Buffer, EndOfData, Need
from underpass.protocol.socks_server import SocksRefused, SocksRequest, SocksVersion, serve_socks
from underpass.protocol.socks_whole import NO_LOGIN, is_whole_greeting, whole_request

GREETING = b"\x05\x01\x00"
TO_NAME = b"\x05\x01\x00\x03\x06a.test\x01\xbb"
TO_IPV4 = b"\x05\x01\x00\x01\xc0\x00\x02\x01\x01\xbb"
TO_IPV6 = b"\x05\x01\x00\x04" + bytes(15) + b"\x01\x01\xbb"


def taken(data: bytes) -> tuple[list[bytes], SocksRequest | None, int]:
    """What `serve_socks` answers to all of `data`, what it takes it for, and how much it leaves."""
    buffer = Buffer()
    answers: list[bytes] = []
    buffer.feed(data)
    buffer.end()
    dialogue = serve_socks(buffer)
    with contextlib.suppress(SocksRefused, RemoteProtocolError, EndOfData):
        while True:
            try:
                step = next(dialogue)
            except StopIteration as done:
                return answers, done.value, len(buffer)
            if not isinstance(step, Need):
                answers.append(step)
    return answers, None, len(buffer)


def mutated(data: bytes) -> list[bytes]:
    """Every one that differs in one byte, ends sooner, or has a byte more."""
    changed = [
        data[:at] + bytes((value,)) + data[at + 1 :]
        for at in range(len(data))
        for value in range(256)
    ]
    return [*changed, *(data[:size] for size in range(len(data))), data + b"\0"]


@pytest.mark.parametrize("greeting", [GREETING, b"\x05\x02\x02\x00", b"\x05\x03\x00\x01\x02"])
def test_a_whole_greeting_is_one_that_no_login_answers(greeting: bytes) -> None:
    assert is_whole_greeting(greeting)
    for other in mutated(greeting):
        answers, _, left = taken(other)
        assert is_whole_greeting(other) == (answers == [NO_LOGIN] and not left)


def test_a_request_for_a_name_is_read_in_one_step() -> None:
    assert whole_request(TO_NAME) == SocksRequest(SocksVersion.FIVE, Address("a.test", 443))


def test_a_request_for_an_ipv4_is_read_in_one_step() -> None:
    assert whole_request(TO_IPV4) == SocksRequest(SocksVersion.FIVE, Address("192.0.2.1", 443))


@pytest.mark.parametrize(
    "request_",
    [
        TO_NAME,
        TO_IPV4,
        b"\x05\x01\x00\x03\x09192.0.2.1\x01\xbb",
        b"\x05\x01\x00\x03\x06A.TesT\x01\xbb",
    ],
)
def test_what_is_read_in_one_step_means_the_same_to_the_dialogue(request_: bytes) -> None:
    read = 0
    for data in [request_, *mutated(request_)]:
        request = whole_request(data)
        if request is not None:
            read += 1
            assert taken(GREETING + data) == ([NO_LOGIN], request, 0)
    assert read


def test_a_request_for_an_ipv6_is_left_to_the_dialogue() -> None:
    assert taken(GREETING + TO_IPV6)[1] == SocksRequest(SocksVersion.FIVE, Address("::1", 443))
    assert whole_request(TO_IPV6) is None
