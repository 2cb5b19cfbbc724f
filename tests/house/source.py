"""The project's own source, as the house tests look at it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "underpass"
UNIT_TESTS = ROOT / "tests" / "unit"
DESIGN = ROOT / "docs" / "design.md"

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One file of the package; `name` is as in an import, `place` its path below the package."""

    name: str
    place: str
    text: str
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        return self.place.endswith("__init__.py")

    @property
    def functions(self) -> Iterator[Function]:
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))


def _read(path: Path) -> Module:
    place = path.relative_to(PACKAGE)
    parts = ["underpass", *place.with_suffix("").parts]
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    text = path.read_text(encoding="utf-8")
    return Module(name, place.as_posix(), text, ast.parse(text, str(path)))


MODULES = {module.name: module for module in map(_read, sorted(PACKAGE.rglob("*.py")))}


def imports_of(module: Module) -> Iterator[str]:
    """What a module imports, wherever in it: inside functions and for type checkers too."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from _from(module, node)


def _from(module: Module, node: ast.ImportFrom) -> Iterator[str]:
    assert not node.level, f"{module.place}:{node.lineno}: a relative import"
    base = node.module or ""
    for alias in node.names:
        # `from package import name`: the module of that name where there is one.
        whole = f"{base}.{alias.name}"
        yield whole if whole in MODULES else base


def own_imports_of(module: Module) -> set[str]:
    """The modules of this package that a module imports."""
    return {name for name in imports_of(module) if name.partition(".")[0] == "underpass"}
