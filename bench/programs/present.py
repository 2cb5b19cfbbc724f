"""Which programs are here, of those that a scenario is to measure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from bench.options import Options


class Program(Protocol):
    """What a proxy and a tunnel have in common."""

    @property
    def name(self) -> str: ...

    @property
    def remark(self) -> str: ...

    def version(self) -> str | None:
        """The version that is here; None: it is not here."""
        ...


AnyProgram = TypeVar("AnyProgram", bound=Program)


def chosen(programs: Sequence[AnyProgram], options: Options) -> list[tuple[AnyProgram, str]]:
    """The programs that are here (of those wanted), with their versions; says who is missing."""
    found = []
    for program in programs:
        if not options.wants(program.name):
            continue
        if version := program.version():
            found.append((program, version))
        else:
            print(f"{program.name} is not here and is left out (python -m bench.peers install)")
    return found


def described(programs: Sequence[tuple[Program, str]]) -> dict[str, dict[str, str]]:
    """What the page says of each program."""
    return {p.name: {"version": version, "remark": p.remark} for p, version in programs}
