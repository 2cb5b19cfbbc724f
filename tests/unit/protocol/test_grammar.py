"""The buffer that parsers read from: nothing lost, nothing read twice, nothing without a bound."""

from __future__ import annotations

from itertools import pairwise
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.protocol.grammar import NEED_DATA, Buffer, EndOfData, Parser

Result = TypeVar("Result")


def run(parser: Parser[Result], buffer: Buffer, pieces: list[bytes]) -> Result:
    """Feed `pieces` whenever the parser needs data, then the end; return what it returns."""
    waiting = iter(pieces)
    while True:
        try:
            assert next(parser) is NEED_DATA
        except StopIteration as end:
            result: Result = end.value
            return result
        piece = next(waiting, None)
        if piece is None:
            buffer.end()
        else:
            buffer.feed(piece)


def holding(*pieces: bytes) -> Buffer:
    buffer = Buffer()
    for piece in pieces:
        buffer.feed(piece)
    return buffer


@pytest.mark.parametrize(
    "pieces", [(b"hello world",), (b"hello", b" ", b"world"), (b"", b"hello world")]
)
def test_bytes_come_out_as_they_went_in(pieces: tuple[bytes, ...]) -> None:
    buffer = holding(*pieces)
    assert len(buffer) == 11
    assert buffer.find(b"o") == 4
    assert buffer.find(b"o", 5) == 7
    assert buffer.find(b"x") == -1
    assert bytes(buffer.peek()) == b"hello world"
    assert buffer.take(6) == b"hello "
    assert bytes(buffer.peek()) == b"world"
    assert buffer.take(100) == b"world"
    assert len(buffer) == 0
    assert buffer.take(1) == b""


def test_what_comes_after_a_take_stands_behind_what_is_left() -> None:
    buffer = holding(b"ab")
    assert buffer.take(1) == b"a"
    buffer.feed(b"cd")
    assert buffer.take(2) == b"bc"
    buffer.feed(b"e")
    assert buffer.take(2) == b"de"


def test_more_waits_for_bytes_and_ends_with_them() -> None:
    buffer = holding(b"a")
    assert run(buffer.more(), buffer, [b"", b"b"]) is None
    assert buffer.take(2) == b"ab"
    with pytest.raises(EndOfData):
        run(buffer.more(), buffer, [])


@pytest.mark.parametrize("pieces", [[b"abcd"], [b"a", b"b", b"c", b"d"]])
def test_read_exact_takes_no_more_than_asked_for(pieces: list[bytes]) -> None:
    buffer = Buffer()
    assert run(buffer.read_exact(3), buffer, pieces) == b"abc"
    assert bytes(buffer.peek()) in (b"d", b"")


def test_read_exact_is_never_short() -> None:
    buffer = holding(b"ab")
    with pytest.raises(EndOfData):
        run(buffer.read_exact(3), buffer, [])
    assert bytes(buffer.peek()) == b"ab"


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"\r\n", b""),
        (b"abc\r\n", b"abc"),
        (b"a\rb\nc\r\r\n", b"a\rb\nc\r"),
        (b"12345678\r\n", b"12345678"),
        (b"123456789\r\n", None),
        (b"1234567890", None),
    ],
)
def test_read_line_ends_at_crlf_or_at_its_limit(data: bytes, line: bytes | None) -> None:
    for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
        buffer = Buffer()
        assert run(buffer.read_line(8), buffer, pieces) == line


def test_a_line_that_never_ends_is_no_line() -> None:
    buffer = Buffer()
    with pytest.raises(EndOfData):
        run(buffer.read_line(8), buffer, [b"abc\r"])


@given(
    st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=6), st.lists(st.integers(1, 9))
)
def test_any_cut_and_any_takes_give_the_same_bytes(
    data: bytes, cuts: list[int], sizes: list[int]
) -> None:
    buffer = Buffer()
    taken = b""
    sizes_left = iter(sizes)
    for start, end in pairwise(sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})):
        buffer.feed(data[start:end])
        taken += buffer.take(next(sizes_left, 0))
    assert taken + buffer.take(len(data)) == data
