"""Bytes that are sent through a stream, and their hash at either end."""

from __future__ import annotations

import hashlib
import random

from underpass.net.stream import Stream


async def pattern_to(end: Stream, size: int) -> str:
    """Send `size` bytes that never repeat, end, and return their hash."""
    source, digest = random.Random(size), hashlib.sha256()
    while size:
        data = source.randbytes(min(size, 256 * 1024))
        digest.update(data)
        await end.send(data)
        size -= len(data)
    await end.send_eof()
    return digest.hexdigest()


async def hash_from(end: Stream) -> str:
    digest = hashlib.sha256()
    while data := await end.receive():
        digest.update(data)
    return digest.hexdigest()
