"""Changes bytes at random, the same for the same generator."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

MAX_BYTES = 4096
MAX_CHANGES = 4

# Bytes that parsers differ on, put in anywhere.
PIECES = (
    *(
        bytes([byte])
        for byte in b"\0\t\n\v\f\r !\"#%'()*+,-./09:;<=>?@AZ[\\]_az{|}~\x7f\x80\x85\xa0\xff"
    ),
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n ",
    b"\n\n",
    b": ",
    b", ",
    b"  ",
    b"://",
    b"0",
    b"-1",
    b"65535",
    b"65536",
    b"18446744073709551616",
    b"0x10",
    b"ffffffffffffffff",
    b"%00",
    b"%2e",
    b"[::1]",
    b"::ffff:",
    b"127.0.0.1",
    b"chunked",
    b"gzip",
    b"close",
    b"HTTP/1.0",
    b"HTTP/1.1",
    b"GET ",
    b"CONNECT ",
    b"Host: h\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b'"',
    b'"a\\"b"',
    b"\xc3\xa4",
    b"\xef\xbc\x91",
)

Change = Callable[[random.Random, bytes, Sequence[bytes]], bytes]


def _span(rng: random.Random, data: bytes) -> tuple[int, int]:
    start = rng.randint(0, len(data))
    return start, min(len(data), start + rng.choice((1, 1, 2, 4, 16, 64)))


def _flip(rng: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def _replace(rng: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + rng.choice(PIECES) + data[end:]


def _insert(rng: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    at = rng.randint(0, len(data))
    return data[:at] + rng.choice(PIECES) + data[at:]


def _delete(rng: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + data[end:]


def _repeat(rng: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    start, end = _span(rng, data)
    return data[:end] + data[start:end] * rng.choice((1, 2, 8, 300)) + data[end:]


def _cut(rng: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    return data[: rng.randint(0, len(data))]


def _splice(rng: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    other = rng.choice(seeds)
    return data[: rng.randint(0, len(data))] + other[rng.randint(0, len(other)) :]


def _case(rng: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + data[start:end].swapcase() + data[end:]


_CHANGES: tuple[Change, ...] = (
    _flip,
    _replace,
    _replace,
    _insert,
    _insert,
    _delete,
    _repeat,
    _cut,
    _splice,
    _case,
)


def mutated(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """One of `seeds` with a few changes, at most `MAX_BYTES` long."""
    data = rng.choice(seeds)
    for _ in range(rng.randint(1, MAX_CHANGES)):
        if not data:
            break
        data = rng.choice(_CHANGES)(rng, data, seeds)[:MAX_BYTES]
    return data
