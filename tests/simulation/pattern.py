"""The bytes of every stream: known from its id, its direction and the offset alone."""

from __future__ import annotations

import random
from functools import cache

# A prime, so that no buffer's size is a period of it.
_PERIOD = 65_521
_BLOCK = random.Random(1).randbytes(_PERIOD) * 2


@cache
def _start(stream: int, sender: str) -> int:
    return (stream * 7919 + ord(sender[0]) * 104_729) % _PERIOD


def pattern(stream: int, sender: str, offset: int, size: int) -> bytes:
    """The `size` bytes from `offset` on that `sender` sends on `stream`; up to a period of them."""
    at = (_start(stream, sender) + offset) % _PERIOD
    return _BLOCK[at : at + min(size, _PERIOD)]
