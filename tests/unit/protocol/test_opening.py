"""The first message of a carrier, however its bytes are cut, in bounded memory."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.errors import RemoteProtocolError
from underpass.protocol.opening import (
    FROM_CLIENT,
    FROM_SERVER,
    MAX_BODY_BYTES,
    Kind,
    Opening,
    OpeningReader,
)

MESSAGES = [
    (Opening(Kind.HELLO, b""), b"\x01\x00\x00"),
    (Opening(Kind.WELCOME, b"w"), b"\x02\x00\x01w"),
    (Opening(Kind.ATTACH, b"a" * 255), b"\x03\x00\xff" + b"a" * 255),
    (Opening(Kind.ATTACHED, b"a" * 256), b"\x04\x01\x00" + b"a" * 256),
    (Opening(Kind.UNKNOWN, b"u" * 4096), b"\x05\x10\x00" + b"u" * 4096),
]

every_message = pytest.mark.parametrize(
    ("message", "data"), MESSAGES, ids=[message.kind.name for message, _ in MESSAGES]
)


@every_message
def test_a_message_is_written_and_read(message: Opening, data: bytes) -> None:
    assert message.encode() == data
    assert OpeningReader().receive_data(data) == (message, b"")


@every_message
def test_a_message_is_read_byte_by_byte(message: Opening, data: bytes) -> None:
    reader = OpeningReader()
    for place in range(len(data) - 1):
        assert reader.receive_data(data[place : place + 1]) is None
    assert reader.receive_data(data[-1:]) == (message, b"")


@every_message
def test_what_stands_behind_is_handed_back(message: Opening, data: bytes) -> None:
    behind = b"\xff" * 10_000
    assert OpeningReader().receive_data(data + behind) == (message, behind)
    for cut in (1, 2, 3, len(data) - 1):
        reader = OpeningReader()
        if cut < len(data):
            assert reader.receive_data(data[:cut]) is None
            assert reader.receive_data(b"") is None
            assert reader.receive_data(data[cut:] + behind) == (message, behind)


@pytest.mark.parametrize("kind", [0, 6, 0x16, ord("G"), 255])
def test_an_unknown_kind_is_refused_at_its_first_byte(kind: int) -> None:
    reader = OpeningReader()
    for data in (bytes((kind,)), b"", b"more"):
        with pytest.raises(RemoteProtocolError, match="not an opening message"):
            reader.receive_data(data)


@pytest.mark.parametrize("kind", Kind)
def test_each_end_says_its_own_kinds(kind: Kind) -> None:
    data = Opening(kind, b"").encode()
    expected, other = (
        (FROM_CLIENT, FROM_SERVER)
        if kind in (Kind.HELLO, Kind.ATTACH)
        else (FROM_SERVER, FROM_CLIENT)
    )
    assert OpeningReader(expected).receive_data(data) is not None
    with pytest.raises(RemoteProtocolError, match="expected here"):
        OpeningReader(other).receive_data(data)


@pytest.mark.parametrize("length", [4097, 65_535])
def test_a_message_too_long_is_refused_before_its_body(length: int) -> None:
    reader = OpeningReader()
    assert reader.receive_data(b"\x01" + length.to_bytes(2, "big")[:1]) is None
    for data in (length.to_bytes(2, "big")[1:], b"", b"more"):
        with pytest.raises(RemoteProtocolError, match="over 4096 bytes"):
            reader.receive_data(data)


def test_nothing_is_kept_beyond_the_longest_message() -> None:
    reader = OpeningReader()
    behind = bytes(1_000_000)
    found = reader.receive_data(b"\x01\x10\x00" + behind)
    assert found is not None
    assert len(found[0].body) == MAX_BODY_BYTES
    assert len(found[1]) == len(behind) - MAX_BODY_BYTES
    assert len(reader._held) == 3 + MAX_BODY_BYTES


@given(st.lists(st.binary(max_size=20), max_size=8))
def test_bytes_raise_nothing_else(pieces: list[bytes]) -> None:
    reader = OpeningReader()
    with contextlib.suppress(RemoteProtocolError):
        for piece in pieces:
            if reader.receive_data(piece) is not None:
                return
