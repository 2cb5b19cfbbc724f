"""A seeded defect: what it is called, what it spoils, and how it changes one file of the source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
SUFFIX = ".patch"

_FILE = "--- "
_HUNK = "@@"


class StaleError(Exception):
    """The source has changed where a mutant changes it: the mutant has to follow."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """See the module; `place` is the file from the root, `changes` pairs of old and new lines."""

    name: str
    why: str
    place: str
    changes: tuple[tuple[str, str], ...]

    def applied(self, source: str) -> str:
        """The text of the file with the defect. Raises `StaleError` unless its place is one."""
        for old, new in self.changes:
            # Whole lines only: the text before the first one begins a line as well.
            found = f"\n{source}".count(f"\n{old}")
            if found != 1:
                raise StaleError(f"{self.name}: {found} places in {self.place} look like\n{old}")
            before, _, after = f"\n{source}".partition(f"\n{old}")
            source = f"{before}\n{new}{after}"[1:]
        return source


def read(path: Path) -> Mutant:
    """The mutant that a file describes."""
    why, _, rest = path.read_text(encoding="utf-8").partition(f"\n{_FILE}")
    head, *hunks = rest.split(f"\n{_HUNK}\n")
    return Mutant(path.stem, why.strip(), head.strip(), tuple(_change(hunk) for hunk in hunks))


def all_mutants() -> list[Mutant]:
    """Every mutant there is, by name."""
    return [read(path) for path in sorted(FOLDER.glob(f"*{SUFFIX}"))]


def _change(hunk: str) -> tuple[str, str]:
    """The lines of a hunk before and after; one that is empty stands for itself."""
    lines = [line or " " for line in hunk.removesuffix("\n").split("\n")]
    old = "".join(f"{line[1:]}\n" for line in lines if line[0] in " -")
    new = "".join(f"{line[1:]}\n" for line in lines if line[0] in " +")
    return old, new
