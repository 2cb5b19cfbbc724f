"""What a reader may rely on in every module: names, docstrings, tests, tasks with owners."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from types import ModuleType

import pytest

from tests.house.source import MODULES, ROOT, UNIT_TESTS, Module
from underpass.errors import Failure

# An exception from a rule of the linter's or the type checker's, and nothing behind it.
_BARE = re.compile(r"# (?:type: ignore(?:\[[a-z-]+\])?|noqa(?:: [A-Z0-9, ]+)?)$")

# Names that say nothing of what is inside.
EMPTY_NAMES = {"util", "utils", "common", "helper", "helpers", "misc"}


def test_no_module_has_a_name_that_says_nothing() -> None:
    parts = {part for name in MODULES for part in name.split(".")}
    assert parts & EMPTY_NAMES == set()


def _test_file(module: Module) -> str:
    folder, slash, file = module.place.rpartition("/")
    return f"{folder}{slash}test_{file}"


@pytest.mark.parametrize(
    "place",
    [
        _test_file(module)
        for module in MODULES.values()
        if not module.is_package and module.name != "underpass.__main__"
    ],
)
def test_each_module_has_a_test_file_of_its_own(place: str) -> None:
    assert (UNIT_TESTS / place).is_file()


def _undocumented(module: ModuleType) -> Iterator[str]:
    for name, value in _public(vars(module), module):
        if not inspect.getdoc(value):
            yield name
        if inspect.isclass(value):
            members = _public(vars(value), module)
            # `getdoc` on the class's attribute finds the text of the method it overrides.
            yield from (f"{name}.{m}" for m, _ in members if not inspect.getdoc(getattr(value, m)))


def _public(names: Mapping[str, object], module: ModuleType) -> Iterator[tuple[str, object]]:
    """Classes, functions, methods and properties that a module defines itself."""
    for name, value in names.items():
        inner = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        is_ours = getattr(inner, "__module__", None) == module.__name__
        is_named = inspect.isfunction(inner) or inspect.isclass(inner)
        if is_ours and is_named and not name.startswith("_"):
            yield name, value


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_documented(name: str) -> None:
    if name == "underpass.__main__":
        assert ast.get_docstring(MODULES[name].tree)
        return
    module = importlib.import_module(name)
    assert module.__doc__
    assert list(_undocumented(module)) == []


def _calls(module: Module, names: set[str]) -> Iterator[ast.Attribute]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr in names:
            yield node


def test_every_task_has_an_owner() -> None:
    """Tasks are made by a task group, which waits for them: `tasks`, or `workers`."""
    ownerless = [
        f"{module.place}:{node.lineno} {ast.unparse(node)}"
        for module in MODULES.values()
        for node in _calls(module, {"create_task", "ensure_future"})
        if not ast.unparse(node.value).endswith(("tasks", "workers"))
    ]
    assert ownerless == []


def test_every_failure_is_used() -> None:
    used = {
        node.attr
        for module in MODULES.values()
        if module.name != "underpass.errors"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "Failure"
    }
    assert {failure.name for failure in Failure} - used == set()


@pytest.mark.parametrize("folder", ["src", "tests", "bench", "scripts", "examples"])
def test_every_exception_from_a_rule_has_its_reason_beside_it(folder: str) -> None:
    bare = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not path.is_relative_to(ROOT / "bench" / "peers")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if _BARE.search(line)
    ]
    assert bare == []
