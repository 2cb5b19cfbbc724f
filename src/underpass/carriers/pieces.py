"""Numbered pieces of a stream of bytes, put in order again (docs/carriers.md section 2). Pure."""

from __future__ import annotations

import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode

from underpass.errors import RemoteProtocolError

MAX_PIECE_BYTES = 4 * 1024 * 1024

# Pieces that may come before one that is missing: more than are ever under way at once.
MAX_EARLY = 64
# What all of those may hold together: the memory of one carrier.
MAX_EARLY_BYTES = 32 * 1024 * 1024

TOKEN = re.compile(r"[A-Za-z0-9_-]{22}")
NUMBER = re.compile(r"0|[1-9][0-9]{0,9}")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


class PieceReader:
    """Takes pieces in any order, each perhaps several times, and gives their bytes in order.

    `first` is the number of the first; `next` that of the lowest that has not come.
    """

    __slots__ = ("_early", "_early_bytes", "next")

    def __init__(self, first: int = 0) -> None:
        self.next = first
        self._early: dict[int, bytes] = {}
        self._early_bytes = 0

    def insert(self, number: int, piece: bytes) -> list[bytes]:
        """Take a piece in; return those that are in order with it.

        One that has come before changes nothing. Raises `RemoteProtocolError` for one too far
        ahead.
        """
        if number < self.next or number in self._early:
            return []
        if number > self.next:
            self._early_bytes += len(piece)
            if number >= self.next + MAX_EARLY or self._early_bytes > MAX_EARLY_BYTES:
                raise RemoteProtocolError("a piece too far ahead")
            self._early[number] = piece
            return []
        ready = [piece]
        self.next += 1
        while (early := self._early.pop(self.next, None)) is not None:
            self._early_bytes -= len(early)
            ready.append(early)
            self.next += 1
        return ready


def cut(records: list[bytes], size: int) -> list[bytes]:
    """The bytes of `records` in pieces of at most `size`: one, unless a record is longer."""
    data = b"".join(records)
    if len(data) <= max(size, 1):
        return [data]
    return [data[at : at + size] for at in range(0, len(data), size)]


def new_token() -> str:
    """A name for a carrier that nobody guesses."""
    return secrets.token_urlsafe(16)


def encode_data(data: bytes) -> str:
    """Bytes in a target: base64url without padding, ``-`` for none."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii") if data else "-"


def decode_data(text: str) -> bytes:
    """What `encode_data` made. Raises `RemoteProtocolError` for anything else."""
    if text == "-":
        return b""
    if not text or len(text) % 4 == 1 or not _BASE64URL.fullmatch(text):
        raise RemoteProtocolError("not base64url")
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
