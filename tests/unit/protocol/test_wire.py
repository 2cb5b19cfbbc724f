"""Fields from the front of a body, and back: no byte is read that isn't there."""

from __future__ import annotations

import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.errors import LocalProtocolError, RemoteProtocolError
from underpass.protocol.wire import Body, bytes8, check_session_id, remote_blame, text16


def test_fields_are_read_in_order() -> None:
    body = Body(b"\x01\x02\x03" + b"\x02hi" + b"\x00\x03\xe2\x82\xac" + b"raw" + b"rest")
    assert body.unpack(struct.Struct("!BH")) == (1, 0x0203)
    assert body.bytes8() == b"hi"
    assert body.text16() == "€"
    assert body.take(3) == b"raw"
    assert body.rest() == b"rest"
    body.end()


@given(st.binary(max_size=255), st.text(max_size=300))
def test_what_is_written_is_read(data: bytes, text: str) -> None:
    body = Body(bytes8(data) + text16(text) + b"behind")
    assert (body.bytes8(), body.text16(), body.rest()) == (data, text, b"behind")


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x02a", b"\xff" + b"a" * 254])
def test_bytes_that_end_early_are_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="ends within a field"):
        Body(data).bytes8()


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00\x01", b"\xff\xff" + b"a" * 65_534])
def test_text_that_ends_early_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="ends within a field"):
        Body(data).text16()


@pytest.mark.parametrize("data", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80"])
def test_text_that_is_no_utf8_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="not UTF-8"):
        Body(b"\x00%c" % len(data) + data).text16()


def test_nothing_may_follow_the_end() -> None:
    body = Body(b"ab")
    body.take(1)
    with pytest.raises(RemoteProtocolError, match="goes on"):
        body.end()
    body.take(1)
    body.end()


def test_a_declared_length_allocates_nothing() -> None:
    layout = struct.Struct("!16777216s")
    body = Body(b"short")
    tracemalloc.start()
    try:
        with pytest.raises(RemoteProtocolError):
            body.unpack(layout)
        assert tracemalloc.get_traced_memory()[1] < 65_536
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [1, 18, 32])
def test_a_session_id_may_have_up_to_32_bytes(size: int) -> None:
    check_session_id(bytes(size))


@pytest.mark.parametrize("size", [0, 33, 255])
def test_another_size_is_no_session_id(size: int) -> None:
    with pytest.raises(LocalProtocolError, match="session id"):
        check_session_id(bytes(size))


def test_the_other_end_is_to_blame_for_what_its_bytes_made() -> None:
    with pytest.raises(RemoteProtocolError, match="session id") as caught, remote_blame():
        check_session_id(b"")
    assert caught.value.__cause__ is None
