"""The chunked coding: fed whole, byte by byte, with bytes behind it; and broken in every way."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.errors import RemoteProtocolError
from underpass.protocol.grammar import Buffer, EndOfData, Need
from underpass.protocol.http.chunked import decode_chunked, encode_chunk, encode_last_chunk
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import HeadLimits


def decode(pieces: list[bytes], limits: HeadLimits | None = None) -> tuple[bytes, Fields, bytes]:
    """The body, the trailers and what was left over."""
    buffer = Buffer()
    decoder = decode_chunked(buffer, limits or HeadLimits())
    body = b""
    waiting = iter(pieces)
    while True:
        try:
            step = next(decoder)
        except StopIteration as end:
            return body, end.value, buffer.take(len(buffer))
        if isinstance(step, Need):
            piece = next(waiting, None)
            if piece is None:
                buffer.end()
            else:
                buffer.feed(piece)
        else:
            assert step
            body += step


GOOD = [
    (b"0\r\n\r\n", b"", Fields()),
    (b'005;a;b=c;d="e;\\""\r\nhello\r\n0\r\n\r\n', b"hello", Fields()),
    (b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", b"0123456789" * 2, Fields()),
    (b'1 ; x = "y z"\r\na\r\n0;end\r\nX-T: 1\r\n\r\n', b"a", Fields([(b"X-T", b"1")])),
    (b"0\r\nContent-Length: 5\r\nX-T: 1\r\n\r\n", b"", Fields([(b"X-T", b"1")])),
]


@pytest.mark.parametrize(("data", "body", "trailers"), GOOD)
def test_good_bodies_however_they_come(data: bytes, body: bytes, trailers: Fields) -> None:
    assert decode([data]) == (body, trailers, b"")
    assert decode([data[i : i + 1] for i in range(len(data))]) == (body, trailers, b"")
    assert decode([data + b"GET / HTTP/1.1"]) == (body, trailers, b"GET / HTTP/1.1")


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"x\r\n",
        b"0x5\r\nhello\r\n",
        b"+5\r\nhello\r\n",
        b"-5\r\nhello\r\n",
        b"5_0\r\nhello\r\n",
        b" 5\r\nhello\r\n",
        b"5 \r\nhello\r\n",
        b"5\nhello\r\n",
        b"5\r\nhelloX\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"1" * 16 + b"\r\n",
        b"5;\r\nhello\r\n",
        b"5;a=\r\nhello\r\n",
        b"5;a\nb\r\nhello\r\n",
        b"5;" + b"a" * 300 + b"\r\nhello\r\n",
        b"0\r\nA : b\r\n\r\n",
        b"0\r\nA: b\nC: d\r\n\r\n",
        b"0\r\n A: b\r\n\r\n",
    ],
)
def test_broken_bodies_are_refused(data: bytes) -> None:
    for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
        with pytest.raises(RemoteProtocolError):
            decode(pieces)


def test_a_body_of_extensions_is_refused() -> None:
    chunk = b"1;" + b"a" * 200 + b"\r\nx\r\n"
    with pytest.raises(RemoteProtocolError, match="extensions"):
        decode([chunk * 100])


def test_trailers_are_bounded() -> None:
    limits = HeadLimits(section=100)
    with pytest.raises(RemoteProtocolError, match="trailer"):
        decode([b"0\r\n" + b"A: b\r\n" * 50 + b"\r\n"], limits)
    with pytest.raises(RemoteProtocolError, match="trailer"):
        decode([b"0\r\nA: " + b"b" * 200], limits)


@pytest.mark.parametrize("cut", range(len(b"5\r\nhello\r\n0\r\n\r\n")))
def test_a_body_cut_anywhere_is_never_complete(cut: int) -> None:
    with pytest.raises(EndOfData):
        decode([b"5\r\nhello\r\n0\r\n\r\n"[:cut]] if cut else [])


@given(st.lists(st.binary(max_size=100), max_size=8), st.integers(1, 50))
def test_what_is_encoded_decodes(chunks: list[bytes], step: int) -> None:
    trailers = Fields([(b"X-T", b"v")])
    data = b"".join(encode_chunk(chunk) for chunk in chunks) + encode_last_chunk(trailers)
    pieces = [data[i : i + step] for i in range(0, len(data), step)]
    assert decode(pieces) == (b"".join(chunks), trailers, b"")


@given(st.binary(max_size=100))
def test_bytes_raise_one_exception_and_nothing_else(data: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError, EndOfData):
        decode([data])


def test_a_trailer_that_frames_is_not_written() -> None:
    assert encode_last_chunk(Fields([(b"Content-Length", b"5")])) == b"0\r\n\r\n"
