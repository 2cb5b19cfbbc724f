"""WebSocket frames (RFC 6455 section 5), as far as binary messages need them. Sans-IO.

What a message holds is given on in the pieces it comes in: nothing is put together here that a
session takes apart again. Only the mask is undone, which a client must use and a server must not.
"""

from __future__ import annotations

import os
import struct

from underpass.errors import RemoteProtocolError
from underpass.protocol.frames import Payload

try:
    from websockets.speedups import apply_mask
except ImportError:
    # Its C is not built everywhere.
    from websockets.utils import apply_mask

# No message of ours is longer; a frame that says so is refused from its head alone.
MAX_MESSAGE_BYTES = 1024 * 1024

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

_MAX_CONTROL_BYTES = 125
_FIN = 0x80
_RESERVED = 0x70
_OPCODE = 0x0F
_MASKED = 0x80
_IS_CONTROL = 0x08
_MASK_BYTES = 4
# Of a length that is told in two or in eight bytes.
_LENGTH_16, _LENGTH_64 = 126, 127
_pack_16 = struct.Struct("!BBH").pack
_pack_64 = struct.Struct("!BBQ").pack

# What has its head in the first bytes whatever that is: shorter ones go the long way.
_SHORT_BYTES = 8

# Below this a copy is cheaper than a view.
_VIEW_BYTES = 4096

# Asking the system for four random bytes costs as much as masking 32 KiB: it is asked for many.
_MASKS_AT_ONCE = 1024


def masked(data: Payload, mask: bytes) -> bytes:
    """`data` with `mask` put on, or taken off again (section 5.3)."""
    return apply_mask(data, mask)


class Masks:
    """Masks for frames, each from the system's randomness and used once (section 5.3)."""

    __slots__ = ("_at", "_bytes")

    def __init__(self) -> None:
        self._bytes = b""
        self._at = 0

    def next(self) -> bytes:
        """Four bytes that nobody can foretell."""
        if self._at == len(self._bytes):
            self._bytes = os.urandom(_MASKS_AT_ONCE * _MASK_BYTES)
            self._at = 0
        self._at += _MASK_BYTES
        return self._bytes[self._at - _MASK_BYTES : self._at]


def frame_head(opcode: int, size: int, mask: bytes = b"") -> bytes:
    """The head of a whole message, or control frame, of `size` bytes; with its mask if it has one.

    The payload is to be `masked`.
    """
    bit = _MASKED if mask else 0
    if size < _LENGTH_16:
        return bytes((_FIN | opcode, bit | size)) + mask
    if size < 1 << 16:
        return _pack_16(_FIN | opcode, bit | _LENGTH_16, size) + mask
    return _pack_64(_FIN | opcode, bit | _LENGTH_64, size) + mask


def make_frame(opcode: int, data: bytes, masks: Masks | None) -> bytes:
    """A whole frame, masked where there are `masks`."""
    if masks is None:
        return frame_head(opcode, len(data)) + data
    mask = masks.next()
    return frame_head(opcode, len(data), mask) + apply_mask(data, mask)


class FrameReader:
    """Takes frames apart, in whatever pieces they come.

    After each `feed`: `ping` is what the latest PING holds, until it is set to None, and `closing`
    what the other end's CLOSE holds; None while there is none.
    """

    __slots__ = (
        "_control",
        "_head",
        "_in_message",
        "_is_masked",
        "_left",
        "_mask",
        "_opcode",
        "closing",
        "has_message",
        "ping",
        "rest",
    )

    def __init__(self, *, is_masked: bool) -> None:
        self._is_masked = is_masked
        # A head that is not whole yet, and the payload of a control frame that is not.
        self._head = b""
        self._control = b""
        # Of the frame whose payload is coming: bytes left, and its mask as it stands.
        self._opcode = BINARY
        self._left = 0
        self._mask = b""
        # Whether the last frame was not the last of its message.
        self._in_message = False
        # Whether a message has ended since this was set to False.
        self.has_message = False
        # What came after the first message, where only that was asked for.
        self.rest = b""
        self.ping: bytes | None = None
        self.closing: bytes | None = None

    def feed(self, data: bytes, *, one: bool = False) -> list[Payload]:
        """Return the pieces of messages in `data`, in order; only of the first with `one`.

        Nothing comes after CLOSE. Raises `RemoteProtocolError` for what is no WebSocket, or none of
        ours.
        """
        if not (one or self._left or self._head or self._in_message):
            alone = self._only(data)
            if alone is not None:
                return [alone]
        pieces: list[Payload] = []
        at, size = 0, len(data)
        while at < size and self.closing is None:
            if one and self.has_message:
                self.rest = data[at:]
                break
            if self._left:
                end = min(at + self._left, size)
                self._take(data, at, end, pieces)
                at = end
            else:
                data, at = self._read_head(data, at)
                size = len(data)
        return pieces

    def _only(self, data: bytes) -> bytes | None:
        """What `data` holds where it is one short message, as most reads are; None for all else."""
        if len(data) < _SHORT_BYTES or data[0] != _FIN | BINARY or self.closing is not None:
            return None
        second = data[1]
        start = 2
        size = second & ~_MASKED
        if size == _LENGTH_16:
            size = data[2] << 8 | data[3]
            start = 4
        elif size == _LENGTH_64:
            return None
        if second & _MASKED:
            start += _MASK_BYTES
        if start + size != len(data) or bool(second & _MASKED) is not self._is_masked:
            return None
        self.has_message = True
        if self._is_masked:
            return apply_mask(data[start:], data[start - _MASK_BYTES : start])
        return data[start:]

    def _read_head(self, data: bytes, at: int) -> tuple[bytes, int]:
        """Take in the head at `at`, or keep what there is of it; returns where to go on."""
        if self._head:
            data, at, self._head = self._head + data[at:], 0, b""
        size = len(data) - at
        start = at + _head_bytes(data[at + 1]) if size >= 2 else 0
        if not start or start > len(data):
            self._head = data[at:]
            return b"", 0
        self._begin(data[at], bool(data[at + 1] & _MASKED), _payload_bytes(data, at))
        self._mask = data[start - _MASK_BYTES : start] if self._is_masked else b""
        if not self._left:
            self._finish()
        return data, start

    def _begin(self, first: int, is_masked: bool, size: int) -> None:
        opcode, is_last = first & _OPCODE, bool(first & _FIN)
        if first & _RESERVED:
            raise RemoteProtocolError("WebSocket: a reserved bit is set")
        if is_masked is not self._is_masked:
            raise RemoteProtocolError(
                "WebSocket: masked where it must not be, or not where it must"
            )
        if opcode & _IS_CONTROL:
            if opcode not in (CLOSE, PING, PONG) or not is_last or size > _MAX_CONTROL_BYTES:
                raise RemoteProtocolError("WebSocket: a control frame that is none")
        elif opcode != (CONTINUATION if self._in_message else BINARY):
            raise RemoteProtocolError("WebSocket: not a binary message")
        elif size > MAX_MESSAGE_BYTES:
            raise RemoteProtocolError("WebSocket: a message too long")
        else:
            self._in_message = not is_last
        self._opcode = opcode
        self._left = size

    def _take(self, data: bytes, at: int, end: int, pieces: list[Payload]) -> None:
        """Take in payload of the frame that is coming."""
        size = end - at
        piece: Payload = data[at:end] if size < _VIEW_BYTES else memoryview(data)[at:end]
        self._left -= size
        if self._mask:
            piece = apply_mask(piece, self._mask)
            if self._left and size % _MASK_BYTES:
                self._mask = self._mask[size % _MASK_BYTES :] + self._mask[: size % _MASK_BYTES]
        if self._opcode & _IS_CONTROL:
            self._control += piece
        else:
            pieces.append(piece)
        if not self._left:
            self._finish()

    def _finish(self) -> None:
        """A frame has come whole."""
        if not self._opcode & _IS_CONTROL:
            self.has_message = self.has_message or not self._in_message
            return
        control, self._control = self._control, b""
        if self._opcode == PING:
            self.ping = control
        elif self._opcode == CLOSE:
            self.closing = control


def _head_bytes(second: int) -> int:
    """How long a head is, by its second byte."""
    length = second & ~_MASKED
    more = 2 if length == _LENGTH_16 else 8 if length == _LENGTH_64 else 0
    return 2 + more + (_MASK_BYTES if second & _MASKED else 0)


def _payload_bytes(data: bytes, at: int) -> int:
    """How long the payload is whose head, which is whole, is at `at`."""
    length = data[at + 1] & ~_MASKED
    if length < _LENGTH_16:
        return length
    return int.from_bytes(data[at + 2 : at + (4 if length == _LENGTH_16 else 10)], "big")
