"""The base of our generator grammars: a bounded buffer that parsers read from.

A parser is a generator that yields `NEED_DATA` whenever the buffer does not hold what it wants,
and reads on when it is resumed: the code reads in the order of the bytes (``yield from``).
"""

from __future__ import annotations

import enum
from collections.abc import Generator
from typing import Literal, TypeVar

Result = TypeVar("Result")


class Need(enum.Enum):
    """What a parser waits for."""

    DATA = "data"


NEED_DATA: Literal[Need.DATA] = Need.DATA

Parser = Generator[Literal[Need.DATA], None, Result]


class EndOfData(Exception):  # noqa: N818 - reads as what happened
    """The bytes ended where a parser wanted more; parsers turn it into their own error."""


class Buffer:
    """Bytes that have come and were not yet parsed."""

    __slots__ = ("_at", "_data", "ended")

    def __init__(self) -> None:
        # One piece of bytes is kept as it is: most often it is all there is, and passed through.
        self._data: bytes | bytearray = b""
        # What stands before this place was taken. It is dropped when more comes, and not at each
        # take: a body of one-byte chunks would have the rest of the piece copied for each.
        self._at = 0
        self.ended = False

    def __len__(self) -> int:
        return len(self._data) - self._at

    def feed(self, data: bytes) -> None:
        """Add bytes at the end."""
        if not self._data:
            self._data = data
            return
        if isinstance(self._data, bytes):
            self._data = bytearray(self._data)
        del self._data[: self._at]
        self._at = 0
        self._data += data

    @property
    def waits(self) -> bool:
        """Whether nothing is there, and something may still come."""
        return not self._data and not self.ended

    def starts_with(self, prefix: bytes) -> bool:
        """Whether what is there begins with `prefix`."""
        return self._data.startswith(prefix, self._at)

    def end(self) -> None:
        """No more bytes will come."""
        self.ended = True

    def find(self, needle: bytes, start: int = 0) -> int:
        """The place of `needle` at or after `start`, or -1."""
        at = self._data.find(needle, self._at + start)
        return at - self._at if at >= 0 else -1

    def peek(self) -> bytes | bytearray:
        """What is there; not to be kept."""
        return self._data[self._at :] if self._at else self._data

    def take(self, size: int) -> bytes:
        """Remove and return the first `size` bytes, or all there are if that is fewer."""
        data, start = self._data, self._at
        end = start + size
        if end < len(data):
            self._at = end
        else:
            self._data, self._at = b"", 0
        return bytes(data[start:end])

    def more(self) -> Parser[None]:
        """Wait until more bytes have come. Raises `EndOfData` when none will."""
        before = len(self)
        while len(self) == before:
            if self.ended:
                raise EndOfData
            yield NEED_DATA

    def read_exact(self, size: int) -> Parser[bytes]:
        """Read `size` bytes."""
        while len(self) < size:
            yield from self.more()
        return self.take(size)

    def read_line(self, limit: int) -> Parser[bytes | None]:
        """Read up to and without CRLF; None when `limit` bytes hold none."""
        searched = 0
        while (at := self.find(b"\r\n", searched)) < 0:
            # The CR of a line that is just short enough may be there without its LF.
            if len(self) > limit + 1:
                return None
            searched = max(0, len(self) - 1)
            yield from self.more()
        if at > limit:
            return None
        return self.take(at + 2)[:-2]
