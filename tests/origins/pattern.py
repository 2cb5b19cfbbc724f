"""Bytes that look random and are always the same."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator

SEED = 9110
_BLOCK = random.Random(SEED).randbytes(1 << 20)


def pattern(size: int) -> Iterator[bytes]:
    """`size` bytes in pieces of at most 1 MiB. Each piece starts with its number."""
    number = 0
    while size:
        piece = (number.to_bytes(8, "big") + _BLOCK[8:])[:size]
        yield piece
        size -= len(piece)
        number += 1


def pattern_hash(size: int) -> str:
    """The SHA-256 of `pattern(size)`, in hexadecimal."""
    digest = hashlib.sha256()
    for piece in pattern(size):
        digest.update(piece)
    return digest.hexdigest()
