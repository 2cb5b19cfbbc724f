"""Records: sealed and numbered units of a session (docs/protocol.md section 4).

A number is sealed once, ever, as its nonce. The key changes with the number alone, every
`EPOCH_RECORDS`, so that no message has to say so and both ends agree whatever arrives first.
"""

from __future__ import annotations

import struct
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from underpass.errors import LocalProtocolError, RemoteProtocolError
from underpass.protocol.frames import MAX_FRAMES_BYTES, Payload
from underpass.protocol.noise import rekey

TAG_BYTES: Final = 16
# length u24 and seq u64. As one struct: the upper byte of the length, its lower two, seq.
_HEAD: Final = struct.Struct("!BHQ")
HEAD_BYTES: Final = _HEAD.size
_LENGTH_BYTES: Final = 3
_SEQ_BYTES: Final = 8
OVERHEAD_BYTES: Final = HEAD_BYTES + TAG_BYTES
# What a length counts beside the frames.
_SEALED_MORE: Final = _SEQ_BYTES + TAG_BYTES

MIN_LENGTH: Final = _SEQ_BYTES + 1 + TAG_BYTES
MAX_LENGTH: Final = _SEQ_BYTES + MAX_FRAMES_BYTES + TAG_BYTES
MAX_RECORD_BYTES: Final = _LENGTH_BYTES + MAX_LENGTH

# RFC 9001 appendix B allows an AES-GCM key 2^23 packets of 64 KiB; this is an eighth of that.
EPOCH_BITS: Final = 20
EPOCH_RECORDS: Final = 1 << EPOCH_BITS
# A session that came this far, at a million records a second, is 292,000 years old.
MAX_SEQ: Final = (1 << 63) - 1

# Noise: 32 zero bits, then the number.
_pack_nonce: Final = struct.Struct("!4xQ").pack
_pack_head: Final = _HEAD.pack
_unpack_head: Final = _HEAD.unpack_from

# Joining the pieces of a record costs all that came before: it is done once for so many.
_MAX_PIECES: Final = 64

# Below this a copy is cheaper than a view.
_VIEW_BYTES: Final = 4096


class Sealer:
    """Seals the records of one direction; counts them from 0."""

    __slots__ = ("_aead", "_epoch_end", "_key", "next_seq")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._aead = AESGCM(key)
        self._epoch_end = EPOCH_RECORDS
        self.next_seq = 0

    def seal(self, frames: bytes) -> bytes:
        """Return the next record, whole, around `frames` (1 to `MAX_FRAMES_BYTES` bytes)."""
        seq = self.next_seq
        if seq >= self._epoch_end:
            self._next_epoch()
        length = len(frames) + _SEALED_MORE
        if not MIN_LENGTH <= length <= MAX_LENGTH:
            raise LocalProtocolError("a record holds 1 to 65,536 bytes of frames")
        self.next_seq = seq + 1
        head = _pack_head(length >> 16, length & 0xFFFF, seq)
        return head + self._aead.encrypt(_pack_nonce(seq), frames, None)

    def _next_epoch(self) -> None:
        # The last number is the last of an epoch, so that it is enough to look here.
        if self.next_seq > MAX_SEQ:
            raise LocalProtocolError("a session whose numbers are used up")
        self._key = rekey(self._key)
        self._aead = AESGCM(self._key)
        self._epoch_end += EPOCH_RECORDS


class Opener:
    """Opens the records of one direction, of the newest epoch seen and of the one before."""

    __slots__ = ("_aead", "_epoch", "_key", "_older")

    def __init__(self, key: bytes) -> None:
        self._epoch = 0
        self._key = key
        self._aead = AESGCM(key)
        self._older: AESGCM | None = None

    def open(self, seq: int, sealed: Payload) -> bytes:
        """Return the frames of record `seq`. Raises `RemoteProtocolError` if it was altered."""
        epoch = seq >> EPOCH_BITS
        if epoch == self._epoch:
            try:
                return self._aead.decrypt(_pack_nonce(seq), sealed, None)
            except InvalidTag:
                raise _altered() from None
        if epoch == self._epoch - 1 and self._older is not None:
            return _open(self._older, seq, sealed)
        if epoch == self._epoch + 1:
            return self._open_next(seq, sealed)
        raise RemoteProtocolError("a record of an epoch that is not near")

    def _open_next(self, seq: int, sealed: Payload) -> bytes:
        """Open with the next epoch's key, which is kept only if it fits."""
        key = rekey(self._key)
        aead = AESGCM(key)
        frames = _open(aead, seq, sealed)
        self._older, self._aead, self._key = self._aead, aead, key
        self._epoch += 1
        return frames


def _open(aead: AESGCM, seq: int, sealed: Payload) -> bytes:
    try:
        return aead.decrypt(_pack_nonce(seq), sealed, None)
    except InvalidTag:
        raise _altered() from None


def _altered() -> RemoteProtocolError:
    return RemoteProtocolError("a record that does not open: altered on its way")


class RecordSplitter:
    """Cuts one carrier's bytes into records, whatever pieces they come in.

    Holds at most one record that is not whole yet, and never makes room for a length declared.
    """

    __slots__ = ("_held", "_pieces", "_wanted")

    def __init__(self) -> None:
        # Of the record that is not whole: its pieces, their bytes, and how many it takes to go on.
        self._pieces: list[bytes] = []
        self._held = 0
        self._wanted = 0

    def split(self, data: Payload) -> list[tuple[int, Payload]]:
        """Return the number and sealed content of each record that is whole with `data`.

        Raises `RemoteProtocolError` for a length out of bounds.
        """
        if not self._pieces:
            return self._cut(data)
        # Joined with no more than it lacks: the rest may be many times as long.
        missing = self._wanted - self._held
        self._pieces.append(bytes(data[:missing]))
        self._held += min(missing, len(data))
        if self._held < self._wanted and len(self._pieces) < _MAX_PIECES:
            return []
        found = self._cut(b"".join(self._pieces))
        if len(data) > missing:
            rest = memoryview(data)[missing:]
            # Where only a head was missing, its record is next.
            found += self.split(rest) if self._pieces else self._cut(rest)
        return found

    def _cut(self, data: Payload) -> list[tuple[int, Payload]]:
        """What `split` returns, of bytes that begin with a record; keeps the rest."""
        at, size = 0, len(data)
        found: list[tuple[int, Payload]] = []
        last = size - HEAD_BYTES
        while at <= last:
            high, low, seq = _unpack_head(data, at)
            length = high << 16 | low
            if not MIN_LENGTH <= length <= MAX_LENGTH:
                raise RemoteProtocolError("a record's length is out of bounds")
            end = at + _LENGTH_BYTES + length
            if end > size:
                self._keep(data[at:], end - at)
                return found
            start = at + HEAD_BYTES
            if length < _VIEW_BYTES:
                found.append((seq, data[start:end]))
            else:
                found.append((seq, memoryview(data)[start:end]))
            at = end
        if at < size:
            self._keep(data[at:], HEAD_BYTES)
        elif self._pieces:
            self._pieces.clear()
        return found

    def _keep(self, rest: Payload, wanted: int) -> None:
        # A copy, as a view would keep all alive that came with it.
        self._pieces = [bytes(rest)]
        self._held = len(rest)
        self._wanted = wanted

    def forget(self) -> None:
        """Drop a record that is not whole: its rest will not come."""
        self._pieces.clear()


def record_seq(record: bytes) -> int:
    """The number of a whole record of our own."""
    seq: int = _HEAD.unpack_from(record)[2]
    return seq
