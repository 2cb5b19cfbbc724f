"""How the tunnel's messages are spelled: fields one after another, every number big-endian.

`Body` reads them from the front and copies only what is there: a declared length allocates nothing.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from typing import Any, Final

from underpass.errors import LocalProtocolError, RemoteProtocolError

U8 = struct.Struct("!B")
U16: Final = struct.Struct("!H")

# Room for a mark of the owner and 128 random bits, and short enough for a path or a cookie.
MAX_SESSION_ID_BYTES: Final = 32


class Body:
    """The fields of one message, read from its front; each raises `RemoteProtocolError`."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        taken = self._data[self._at : self._at + size]
        if len(taken) < size:
            raise RemoteProtocolError("a message ends within a field")
        self._at += size
        return taken

    def unpack(self, layout: struct.Struct) -> tuple[Any, ...]:
        """The next fields, all of fixed size."""
        return layout.unpack(self.take(layout.size))

    def bytes8(self) -> bytes:
        """A length u8 and as many bytes."""
        return self.take(*self.unpack(U8))

    def text16(self) -> str:
        """A length u16 and as many bytes of UTF-8."""
        try:
            return self.take(*self.unpack(U16)).decode("utf-8")
        except UnicodeDecodeError:
            raise RemoteProtocolError("text that is not UTF-8") from None

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data) - self._at)

    def end(self) -> None:
        """Nothing may follow."""
        if self._at < len(self._data):
            raise RemoteProtocolError("a message goes on after its last field")


def bytes8(value: bytes) -> bytes:
    """`value` behind its length u8."""
    return U8.pack(len(value)) + value


def text16(value: str) -> bytes:
    """`value` in UTF-8 behind its length u16."""
    data = value.encode("utf-8")
    return U16.pack(len(data)) + data


def check_session_id(value: bytes) -> None:
    """Raise `LocalProtocolError` unless `value` may be the id of a session."""
    if not 1 <= len(value) <= MAX_SESSION_ID_BYTES:
        raise LocalProtocolError(f"a session id has 1 to {MAX_SESSION_ID_BYTES} bytes")


@contextlib.contextmanager
def remote_blame() -> Iterator[None]:
    """Turn `LocalProtocolError` into `RemoteProtocolError`.

    A message checks its own bounds when it is made, so that one that exists is one that may be
    sent. When it is made of bytes from a network, it is the other end that broke them.
    """
    try:
        yield
    except LocalProtocolError as error:
        raise RemoteProtocolError(error.reason) from None
