"""What is fuzzed: seeds, and a run that raises nothing where all is well."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


class Finding(AssertionError):  # noqa: N818 - what a fuzzer looks for
    """The code under test broke its own word."""


@dataclass(frozen=True)
class Target:
    """`run` feeds one input, cut into pieces as the generator says.

    It swallows the documented exceptions; whatever else it raises is a finding.
    """

    name: str
    seeds: tuple[bytes, ...]
    run: Callable[[bytes, random.Random], None]


def pieces(data: bytes, rng: random.Random) -> list[bytes]:
    """`data` in one piece, in single bytes, or cut at random."""
    match rng.randrange(3):
        case 0:
            return [data]
        case 1 if len(data) <= 256:
            return [data[at : at + 1] for at in range(len(data))]
        case _:
            cuts = sorted(rng.randint(0, len(data)) for _ in range(3))
            ends = [*cuts, len(data)]
            return [data[a:b] for a, b in zip([0, *cuts], ends, strict=True)]


def expect(truth: object, what: str) -> None:
    """Raise a `Finding` unless `truth`."""
    if not truth:
        raise Finding(what)
