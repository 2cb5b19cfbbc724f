"""The one message that each end says first on a carrier (docs/protocol.md section 2)."""

from __future__ import annotations

import enum
import struct
from collections.abc import Set
from dataclasses import dataclass

from underpass.errors import RemoteProtocolError

# Enough for every hello with room to grow, and all that a stranger may make an end keep.
MAX_BODY_BYTES = 4096

_HEAD = struct.Struct("!BH")


@enum.unique
class Kind(enum.IntEnum):
    """What an opening message is."""

    HELLO = 1
    WELCOME = 2
    ATTACH = 3
    ATTACHED = 4
    UNKNOWN = 5


FROM_CLIENT = frozenset({Kind.HELLO, Kind.ATTACH})
FROM_SERVER = frozenset({Kind.WELCOME, Kind.ATTACHED, Kind.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Opening:
    """An opening message; what its body holds is for its kind to say."""

    kind: Kind
    body: bytes

    def encode(self) -> bytes:
        """The bytes of the message."""
        return _HEAD.pack(self.kind, len(self.body)) + self.body


class OpeningReader:
    """Reads one opening message of the kinds expected here, however its bytes are cut."""

    def __init__(self, kinds: Set[Kind] = FROM_CLIENT | FROM_SERVER) -> None:
        self._kinds = kinds
        self._held = bytearray()

    def receive_data(self, data: bytes) -> tuple[Opening, bytes] | None:
        """Take bytes in; return the message and what stands behind it, or None if there is more.

        Raises `RemoteProtocolError` as soon as it can't become a message, the same on each further
        call. Never holds more than the longest message.
        """
        before = len(self._held)
        self._held += data[: _HEAD.size + MAX_BODY_BYTES - before]
        self._check_kind()
        if len(self._held) < _HEAD.size:
            return None
        kind, length = _HEAD.unpack_from(self._held)
        if length > MAX_BODY_BYTES:
            raise RemoteProtocolError(f"an opening message over {MAX_BODY_BYTES} bytes")
        end = _HEAD.size + length
        if len(self._held) < end:
            return None
        return Opening(Kind(kind), bytes(self._held[_HEAD.size : end])), data[end - before :]

    def _check_kind(self) -> None:
        if self._held and self._held[0] not in self._kinds:
            raise RemoteProtocolError("not an opening message that is expected here")
