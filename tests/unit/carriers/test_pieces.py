"""Pieces: numbers in order, each once, and bytes in a target."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.carriers.pieces import (
    MAX_EARLY,
    MAX_EARLY_BYTES,
    TOKEN,
    PieceReader,
    cut,
    decode_data,
    encode_data,
    new_token,
)
from underpass.errors import RemoteProtocolError


def test_pieces_come_out_in_order() -> None:
    reader = PieceReader()
    assert reader.insert(1, b"b") == []
    assert reader.insert(0, b"a") == [b"a", b"b"]
    assert reader.insert(2, b"c") == [b"c"]
    assert reader.next == 3


def test_a_piece_that_comes_again_brings_nothing() -> None:
    reader = PieceReader(1)
    assert reader.insert(2, b"b") == []
    assert reader.insert(2, b"B") == []
    assert reader.insert(1, b"a") == [b"a", b"b"]
    assert reader.insert(1, b"A") == []


def test_a_piece_too_far_ahead_is_an_error() -> None:
    reader = PieceReader()
    assert reader.insert(MAX_EARLY - 1, b"x") == []
    with pytest.raises(RemoteProtocolError):
        reader.insert(MAX_EARLY, b"x")


def test_pieces_that_came_early_are_bounded_in_bytes() -> None:
    reader = PieceReader()
    half = bytes(MAX_EARLY_BYTES // 2)
    reader.insert(1, half)
    reader.insert(2, half)
    with pytest.raises(RemoteProtocolError):
        reader.insert(3, b"x")
    # Those that came are not forgotten: the bound is on what waits.
    assert len(reader.insert(0, b"a")) == 3


@given(st.permutations(range(20)), st.lists(st.integers(0, 19), max_size=20))
def test_any_order_and_any_repeats_give_the_same(order: list[int], repeats: list[int]) -> None:
    reader = PieceReader()
    ready = [
        piece for number in [*order, *repeats] for piece in reader.insert(number, b"%d;" % number)
    ]
    assert b"".join(ready) == b"".join(b"%d;" % number for number in range(20))


def test_cut_keeps_records_whole_where_they_fit() -> None:
    assert cut([b"ab", b"c"], 3) == [b"abc"]
    assert cut([b"abcde"], 2) == [b"ab", b"cd", b"e"]


@given(st.binary(max_size=200))
def test_data_in_a_target_comes_back(data: bytes) -> None:
    assert decode_data(encode_data(data)) == data


@given(st.text(max_size=20))
def test_what_is_no_data_is_the_other_ends_fault_and_nothing_else(text: str) -> None:
    try:
        decode_data(text)
    except RemoteProtocolError:
        return


@pytest.mark.parametrize("text", ["", "a", "ab=", "a+b/", "abcde", "ab\n"])
def test_refuses_other_than_base64url(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_data(text)


def test_tokens_differ() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(TOKEN.fullmatch(token) for token in tokens)
