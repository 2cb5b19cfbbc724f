"""Frames by table, both ways; cut anywhere, drawn out, at their edges, and at random."""

from __future__ import annotations

import contextlib
import struct
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.errors import Failure, RemoteProtocolError
from underpass.protocol.frame_codec import (
    encode_ack,
    encode_close,
    encode_data,
    encode_datagram,
    encode_fin,
    encode_goaway,
    encode_open,
    encode_opened,
    encode_ping,
    encode_pong,
    encode_refused,
    encode_reset,
    encode_skip,
    encode_window,
    parse_frames,
)
from underpass.protocol.frames import (
    MAX_DATA_BYTES,
    MAX_DATAGRAM_BYTES,
    MAX_DETAILS_BYTES,
    REFUSALS,
    Ack,
    Close,
    Data,
    Datagram,
    Fin,
    Frame,
    GoAway,
    Open,
    Opened,
    Ping,
    Pong,
    Refused,
    Reset,
    Skip,
    Window,
)

U8, U16, U32, U64 = 2**8 - 1, 2**16 - 1, 2**32 - 1, 2**64 - 1
FULL_ACK = Ack(0, 1, tuple((3 * n, 3 * n + 1) for n in range(1, 65)))


def encode(frame: Frame) -> bytes:
    """The bytes of any frame."""
    return encode_ack(frame) if isinstance(frame, Ack) else _ENCODERS[type(frame)](*frame)


_ENCODERS: dict[type, Callable[..., bytes]] = {
    Open: encode_open,
    Opened: encode_opened,
    Refused: encode_refused,
    Data: encode_data,
    Fin: encode_fin,
    Reset: encode_reset,
    Window: encode_window,
    Skip: encode_skip,
    Datagram: encode_datagram,
    Ping: encode_ping,
    Pong: encode_pong,
    GoAway: encode_goaway,
    Close: encode_close,
}

# Each frame, small, at the edges of its fields, with its bytes spelt out.
FRAMES: list[tuple[Frame, str]] = [
    (Open(1, 0, "a.example", 443), "01 00000001 00 01bb 09" + b"a.example".hex()),
    (Open(U32, U8, "", U16), "01 ffffffff ff ffff 00"),
    (Open(0, 1, "h" * 255, 0), "01 00000000 01 0000 ff" + "68" * 255),
    (Opened(2, "10.0.0.1:5"), "02 00000002 0a" + b"10.0.0.1:5".hex()),
    (Opened(U32, ""), "02 ffffffff 00"),
    (Refused(3, Failure.CONNECTION_REFUSED, "né"), "03 00000003 07 0003 6ec3a9"),
    (Refused(U32, Failure.INTERNAL, ""), "03 ffffffff 01 0000"),
    (Refused(0, Failure.LOOP, "x" * 1024), "03 00000000 0d 0400" + "78" * 1024),
    (Data(5, 2**40, b"abc"), "04 00000005 0000010000000000 0003 616263"),
    (Data(U32, U64, b"x"), "04 ffffffff ffffffffffffffff 0001 78"),
    (Data(0, 0, b"y" * MAX_DATA_BYTES), "04 00000000 0000000000000000 fff1" + "79" * 65_521),
    (Fin(6, 7), "05 00000006 0000000000000007"),
    (Fin(U32, U64), "05 ffffffff ffffffffffffffff"),
    (Reset(7, 3), "06 00000007 03"),
    (Reset(U32, U8), "06 ffffffff ff"),
    (Window(8, 65_536), "07 00000008 0000000000010000"),
    (Window(U32, U64), "07 ffffffff ffffffffffffffff"),
    (Ack(9, 10, ()), "08 0009 000000000000000a 00"),
    (Ack(U16, 0, ((1, U64),)), "08 ffff 0000000000000000 01 0000000000000001 ffffffffffffffff"),
    (
        Ack(0, 1, ((2, 2), (4, 6))),
        "08 0000 0000000000000001 02"
        + "00" * 7
        + "02"
        + "00" * 7
        + "02"
        + "00" * 7
        + "04"
        + "00" * 7
        + "06",
    ),
    (Skip(1, 2), "09 0000000000000001 0000000000000002"),
    (Skip(U64, U64), "09 ffffffffffffffff ffffffffffffffff"),
    (Datagram(9, b"d"), "0a 00000009 0001 64"),
    (Datagram(U32, b""), "0a ffffffff 0000"),
    (Datagram(1, b"z" * MAX_DATAGRAM_BYTES), "0a 00000001 fde8" + "7a" * 65_000),
    (Ping(1, 30_000), "0b 00000001 00007530"),
    (Ping(U32, U32), "0b ffffffff ffffffff"),
    (Pong(1), "0c 00000001"),
    (Pong(U32), "0c ffffffff"),
    (GoAway(9, 4, "stop"), "0d 00000009 04 0004 73746f70"),
    (GoAway(U32, U8, ""), "0d ffffffff ff 0000"),
    (Close(0, "bye"), "0e 00 0003 627965"),
    (Close(U8, ""), "0e ff 0000"),
]


@pytest.mark.parametrize(("frame", "spelt"), FRAMES)
def test_a_frame_is_encoded_and_parsed(frame: Frame, spelt: str) -> None:
    data = bytes.fromhex(spelt)
    assert encode(frame) == data
    assert parse_frames(data) == [frame]


@pytest.mark.parametrize(("frame", "spelt"), FRAMES)
def test_what_follows_a_frame_is_the_next(frame: Frame, spelt: str) -> None:
    data = bytes.fromhex(spelt)
    assert parse_frames(b"\0\0" + data + b"\0" + encode_pong(1) + b"\0") == [frame, Pong(1)]
    if len(data) * 2 <= 65_536:
        assert parse_frames(data + data) == [frame, frame]
    with pytest.raises(RemoteProtocolError, match="unknown frame type"):
        parse_frames(data + b"\x0f")


@pytest.mark.parametrize(("frame", "spelt"), FRAMES)
def test_a_frame_cut_at_any_byte_is_an_error(frame: Frame, spelt: str) -> None:
    data = bytes.fromhex(spelt)
    # Long texts and payloads are alike inside.
    for size in [*range(1, min(len(data), 300)), len(data) - 1]:
        with pytest.raises(RemoteProtocolError, match="crosses the end"):
            parse_frames(data[:size])


@pytest.mark.parametrize("kind", range(0x0F, 0x100))
def test_an_unknown_type_is_an_error(kind: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"unknown frame type {kind}"):
        parse_frames(bytes((kind,)) + bytes(64))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (encode_data(1, 0, b""), "DATA is empty"),
        (encode_skip(2, 1), "does not rise"),
        (encode_datagram(1, bytes(MAX_DATAGRAM_BYTES + 1)), "datagram over"),
        (encode_ack(Ack(0, 1, ((1, 1),))), "do not rise"),
        (encode_ack(Ack(0, 5, ((4, 9),))), "do not rise"),
        (encode_ack(Ack(0, 1, ((3, 2),))), "do not rise"),
        (encode_ack(Ack(0, 1, ((3, 4), (5, 6)))), "do not rise"),
        (encode_ack(Ack(0, 1, ((7, 8), (3, 4)))), "do not rise"),
        (encode_ack(Ack(0, U64, ((U64, U64),))), "do not rise"),
        (encode_ack(Ack(0, 1, (*FULL_ACK.ranges, (U64, U64)))), "too many ranges"),
        (b"\x01\0\0\0\x01\0\0\x50\x02h\xe9", "not ASCII"),
        (b"\x02\0\0\0\x01\x01\x80", "not ASCII"),
        (b"\x03\0\0\0\x01\x01\0\x01\xc3", "not UTF-8"),
        (b"\x03\0\0\0\x01\x01\x04\x01" + b"x" * 1025, "text over"),
        (b"\x0d\0\0\0\x01\x01\0\x02\xff\xfe", "not UTF-8"),
        (b"\x0e\x01\0\x03\xed\xa0\x80", "not UTF-8"),
        (b"\x0e\x01\x04\x01" + b"x" * 1025, "text over"),
    ],
)
def test_a_field_out_of_its_bounds_is_an_error(data: bytes, reason: str) -> None:
    with pytest.raises(RemoteProtocolError, match=reason):
        parse_frames(data)


def test_as_many_ranges_as_may_be() -> None:
    assert parse_frames(encode_ack(FULL_ACK)) == [FULL_ACK]


@pytest.mark.parametrize("code", [0, *range(17, 256)])
def test_a_code_of_refusal_that_is_not_known_is_an_internal_error(code: int) -> None:
    data = struct.pack("!BIBH", 3, 1, code, 0)
    assert parse_frames(data) == [Refused(1, Failure.INTERNAL, "")]


@pytest.mark.parametrize("failure", Failure)
def test_a_failure_travels_as_itself_or_as_an_internal_error(failure: Failure) -> None:
    expected = failure if failure in REFUSALS.values() else Failure.INTERNAL
    assert parse_frames(encode_refused(1, failure, "why")) == [Refused(1, expected, "why")]


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("x" * 2000, "x" * MAX_DETAILS_BYTES),
        ("x" * 1023 + "é", "x" * 1023),
        ("\U0001f600" * 300, "\U0001f600" * 256),
        ("lone \ud800 half", "lone ? half"),
    ],
)
def test_a_text_is_cut_between_two_characters(text: str, sent: str) -> None:
    assert parse_frames(encode_refused(1, Failure.LOOP, text)) == [Refused(1, Failure.LOOP, sent)]
    assert parse_frames(encode_goaway(1, 0, text)) == [GoAway(1, 0, sent)]
    assert parse_frames(encode_close(0, text)) == [Close(0, sent)]


def test_nothing_but_padding_is_no_frame() -> None:
    assert parse_frames(bytes(65_536)) == []


@pytest.mark.parametrize("size", [1, 64, 4095, 4096, 8192, 20_000, MAX_DATA_BYTES])
@pytest.mark.parametrize("rest", [0, 4000, 10_000])
def test_a_payload_keeps_at_most_as_much_again_of_its_record(size: int, rest: int) -> None:
    (frame,) = parse_frames(encode_data(1, 0, b"x" * size) + bytes(rest))
    assert isinstance(frame, Data)
    assert frame.data == b"x" * size
    if isinstance(frame.data, memoryview):
        assert memoryview(frame.data.obj).nbytes <= 2 * size + 15


@pytest.mark.parametrize(
    "data",
    [
        b"\x04\0\0\0\x01" + bytes(8) + b"\xff\xff",
        b"\x0a\0\0\0\x01\xfd\xe8",
        b"\x08\0\0" + bytes(8) + b"\x40",
        b"\x0d\0\0\0\x01\x00\x04\x00",
    ],
)
def test_no_room_is_made_for_a_length_declared(data: bytes) -> None:
    def parse() -> None:
        with pytest.raises(RemoteProtocolError):
            parse_frames(data)

    parse()
    tracemalloc.start()
    try:
        parse()
        assert tracemalloc.get_traced_memory()[1] < 16 * 1024
    finally:
        tracemalloc.stop()


IDS = st.integers(0, U32)
OFFSETS = st.integers(0, U64)
BYTES = st.integers(0, U8)
NAMES = st.text(st.characters(max_codepoint=127), max_size=255)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=256)


@st.composite
def acks(draw: st.DrawFn) -> Ack:
    next_seq = at = draw(st.integers(0, 2**50))
    ranges = []
    for gap, size in draw(st.lists(st.tuples(st.integers(1, 99), st.integers(0, 99)), max_size=64)):
        ranges.append((at + gap, at + gap + size))
        at += gap + size + 1
    return Ack(draw(st.integers(0, U16)), next_seq, tuple(ranges))


ANY_FRAME: st.SearchStrategy[Frame] = st.one_of(
    st.builds(Open, IDS, BYTES, NAMES, st.integers(0, U16)),
    st.builds(Opened, IDS, NAMES),
    st.builds(Refused, IDS, st.sampled_from(list(REFUSALS.values())), TEXTS),
    st.builds(Data, IDS, OFFSETS, st.binary(min_size=1, max_size=400)),
    st.builds(Fin, IDS, OFFSETS),
    st.builds(Reset, IDS, BYTES),
    st.builds(Window, IDS, OFFSETS),
    acks(),
    st.tuples(OFFSETS, OFFSETS).map(lambda pair: Skip(*sorted(pair))),
    st.builds(Datagram, IDS, st.binary(max_size=400)),
    st.builds(Ping, IDS, IDS),
    st.builds(Pong, IDS),
    st.builds(GoAway, IDS, BYTES, TEXTS),
    st.builds(Close, BYTES, TEXTS),
)


@given(st.lists(ANY_FRAME, max_size=8))
def test_every_record_of_frames_comes_back(frames: list[Frame]) -> None:
    assert parse_frames(b"".join(map(encode, frames))) == frames


@given(st.binary(max_size=300))
def test_bytes_raise_nothing_else(data: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        parse_frames(data)


@given(st.lists(ANY_FRAME, min_size=1, max_size=4), st.data())
def test_altered_frames_raise_nothing_else(frames: list[Frame], data: st.DataObject) -> None:
    record = bytearray(b"".join(map(encode, frames)))
    for _ in range(data.draw(st.integers(1, 4))):
        record[data.draw(st.integers(0, len(record) - 1))] = data.draw(BYTES)
    cut = data.draw(st.integers(0, len(record)))
    for altered in (record, record[:cut], record + record[cut:]):
        with contextlib.suppress(RemoteProtocolError):
            # What is understood is within its bounds, so that it can be said again. A code that is
            # not known is said again as another.
            again = parse_frames(bytes(altered))
            assert parse_frames(b"".join(map(encode, again))) == again
