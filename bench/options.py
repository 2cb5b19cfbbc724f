"""The command line that every scenario has."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for. `peers` are names; None: everybody."""

    command: str
    quick: bool
    rounds: int
    only: str | None
    peers: tuple[str, ...] | None
    writes: bool

    def wants(self, program: str) -> bool:
        """Whether this program is to be measured."""
        return self.peers is None or program in self.peers


def parsed(
    module: str,
    about: str | None,
    measurements: Sequence[str],
    arguments: Sequence[str],
    rounds: int = ROUNDS,
) -> Options:
    """The options of `python -m MODULE`; `--only` takes one of `measurements`."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=about)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--rounds", type=int, help=f"{rounds} (1 with --quick)")
    parser.add_argument("--only", choices=list(measurements), help="one measurement alone")
    parser.add_argument("--peers", help="only these programs, comma between")
    parser.add_argument(
        "--write",
        action=argparse.BooleanOptionalAction,
        help="write the results and the page (default: of a whole run only)",
    )
    found = parser.parse_args(arguments)
    whole = not (found.quick or found.only or found.peers)
    return Options(
        command=" ".join(["python", "-m", module, *arguments]),
        quick=found.quick,
        rounds=found.rounds or (1 if found.quick else rounds),
        only=found.only,
        peers=tuple(found.peers.split(",")) if found.peers else None,
        writes=whole if found.write is None else found.write,
    )
