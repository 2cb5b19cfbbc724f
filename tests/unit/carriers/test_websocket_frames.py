"""WebSocket frames taken apart, in whatever pieces they come, as the `websockets` library does."""

from __future__ import annotations

import random

import pytest
from websockets.exceptions import WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, Protocol, Side

from underpass.carriers.websocket_frames import (
    BINARY,
    MAX_MESSAGE_BYTES,
    PING,
    FrameReader,
    Masks,
    frame_head,
    make_frame,
    masked,
)
from underpass.errors import RemoteProtocolError


def read(*chunks: bytes, is_masked: bool = False) -> bytes:
    reader = FrameReader(is_masked=is_masked)
    return b"".join(bytes(piece) for chunk in chunks for piece in reader.feed(chunk))


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
@pytest.mark.parametrize("is_masked", [False, True])
def test_a_frame_of_any_length_is_read_as_it_was_made(size: int, is_masked: bool) -> None:
    data = random.Random(size).randbytes(size)
    masks = Masks() if is_masked else None
    frames = make_frame(BINARY, data, masks) + make_frame(BINARY, b"next", masks)
    assert read(frames, is_masked=is_masked) == data + b"next"


@pytest.mark.parametrize("is_masked", [False, True])
def test_frames_may_be_cut_anywhere(is_masked: bool) -> None:
    masks = Masks() if is_masked else None
    frames = b"".join(make_frame(BINARY, b"abc" * size, masks) for size in (1, 50, 400))
    for at in range(len(frames) + 1):
        assert read(frames[:at], frames[at:], is_masked=is_masked) == b"abc" * 451
    single = [frames[at : at + 1] for at in range(len(frames))]
    assert read(*single, is_masked=is_masked) == b"abc" * 451


def test_no_mask_comes_twice_in_a_row() -> None:
    masks = Masks()
    drawn = [masks.next() for _ in range(3000)]
    assert {len(mask) for mask in drawn} == {4}
    assert len(set(drawn)) > 2990


def test_of_many_messages_one_can_be_had() -> None:
    reader = FrameReader(is_masked=False)
    pieces = reader.feed(b"\x02\x01a\x80\x01b\x82\x01c", one=True)
    assert b"".join(map(bytes, pieces)) == b"ab"
    assert (reader.has_message, reader.rest) == (True, b"\x82\x01c")


def test_control_frames_come_between_the_parts_of_a_message() -> None:
    reader = FrameReader(is_masked=False)
    pieces = reader.feed(b"\x02\x01a\x89\x02hi\x8a\x00\x80\x01b\x88\x02\x03\xe8\x82\x01c")
    assert b"".join(map(bytes, pieces)) == b"ab"
    assert (reader.ping, reader.closing) == (b"hi", b"\x03\xe8")
    assert reader.feed(b"\x82\x01d") == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x81\x01a", "not a binary message"),
        (b"\x83\x01a", "not a binary message"),
        (b"\x80\x01a", "not a binary message"),
        (b"\x02\x01a\x82\x01b", "not a binary message"),
        (b"\xc2\x01a", "reserved"),
        (b"\x82\x81\0\0\0\0a", "masked"),
        (b"\x09\x00", "control frame"),
        (b"\x8b\x00", "control frame"),
        (b"\x89\x7e\x00\x7e", "control frame"),
        (b"\x82\x7f" + (MAX_MESSAGE_BYTES + 1).to_bytes(8, "big"), "too long"),
        (b"\x82\x7f" + b"\xff" * 8, "too long"),
    ],
)
def test_what_is_no_message_of_ours_is_the_other_ends_fault(data: bytes, reason: str) -> None:
    with pytest.raises(RemoteProtocolError, match=reason):
        read(data)
    if len(data) > 2:
        with pytest.raises(RemoteProtocolError, match=reason):
            read(*(data[at : at + 1] for at in range(len(data))))


def test_a_client_must_mask() -> None:
    with pytest.raises(RemoteProtocolError, match="masked"):
        read(b"\x82\x01a", is_masked=True)


# --- beside the library


def theirs(data: bytes, *, is_masked: bool) -> bytes | None:
    """What `websockets` finds in `data`; None where it refuses it."""
    protocol = Protocol(
        Side.SERVER if is_masked else Side.CLIENT, state=OPEN, max_size=MAX_MESSAGE_BYTES
    )
    try:
        protocol.receive_data(data)
    except WebSocketException:
        return None
    found = b""
    for frame in protocol.events_received():
        assert isinstance(frame, Frame)
        if frame.opcode is Opcode.TEXT:
            return None
        if frame.opcode in (Opcode.BINARY, Opcode.CONT):
            found += frame.data
    return None if protocol.parser_exc is not None else found


def ours(data: bytes, chance: random.Random, *, is_masked: bool) -> bytes | None:
    reader = FrameReader(is_masked=is_masked)
    found = b""
    try:
        while data:
            size = chance.choice((1, 2, 7, 100, 5000))
            found += b"".join(map(bytes, reader.feed(data[:size])))
            data = data[size:]
    except RemoteProtocolError:
        return None
    return found


def random_frames(chance: random.Random, *, is_masked: bool) -> bytes:
    """Some frames, mostly right ones."""
    frames = b""
    in_message = False
    for _ in range(chance.randint(1, 6)):
        size = chance.choice((0, 1, 125, 126, 300, 70_000))
        opcode = 0 if in_message else BINARY
        is_last = chance.random() < 0.7
        if chance.random() < 0.2:
            opcode, size, is_last = PING, chance.randint(0, 125), True
        else:
            in_message = not is_last
        mask = chance.randbytes(4) if is_masked else b""
        head = bytearray(frame_head(opcode, size, mask))
        head[0] ^= 0 if is_last else 0x80
        if chance.random() < 0.1:
            head[chance.randrange(len(head))] ^= 1 << chance.randrange(8)
        data = chance.randbytes(size)
        frames += bytes(head) + (masked(data, mask) if mask else data)
    return frames


@pytest.mark.parametrize("is_masked", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_random_frames_are_what_the_library_finds(seed: int, is_masked: bool) -> None:
    chance = random.Random(seed)
    refused = 0
    for _ in range(60):
        frames = random_frames(chance, is_masked=is_masked)
        wanted = theirs(frames, is_masked=is_masked)
        got = ours(frames, chance, is_masked=is_masked)
        if wanted is None:
            # What is refused may have been given on in part, and more of it may have to come.
            refused += got is None
        elif got is not None:
            # The library gives whole frames alone.
            assert got.startswith(wanted)
        else:
            raise AssertionError(f"refused what the library takes: {frames[:32].hex()}")
    assert refused


@pytest.mark.parametrize("is_masked", [False, True])
def test_the_beginning_of_a_long_message_is_not_taken_for_a_short_one(is_masked: bool) -> None:
    data = random.Random(0).randbytes(70_000)
    frame = make_frame(BINARY, data, Masks() if is_masked else None)
    # As long as if the mark of a length in eight bytes were itself the length.
    first = 2 + 127 + (4 if is_masked else 0)
    reader = FrameReader(is_masked=is_masked)
    pieces = [*reader.feed(frame[:first]), *reader.feed(frame[first:])]
    assert b"".join(pieces) == data
