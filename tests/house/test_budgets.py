"""The budgets of docs/design.md section 4: small files, short functions, few parameters."""

from __future__ import annotations

import ast
from statistics import median

import pytest

from tests.house.source import MODULES, ROOT, Function

FILE_LINES = 400
FILE_MEDIAN = 150
FUNCTION_LINES = 60
FUNCTION_MEDIAN = 10
PARAMETERS = 5


def _lines(function: Function) -> int:
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1


def _parameters(function: Function) -> int:
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    count = sum(argument.arg not in ("self", "cls") for argument in named)
    return count + (arguments.vararg is not None) + (arguments.kwarg is not None)


def test_no_file_is_longer_than_its_budget() -> None:
    sizes = {module.place: len(module.text.splitlines()) for module in MODULES.values()}
    assert {place: size for place, size in sizes.items() if size > FILE_LINES} == {}
    assert median(sizes.values()) <= FILE_MEDIAN


def test_no_function_is_longer_than_its_budget() -> None:
    sizes = {
        f"{module.place}:{function.lineno} {function.name}": _lines(function)
        for module in MODULES.values()
        for function in module.functions
    }
    assert {where: size for where, size in sizes.items() if size > FUNCTION_LINES} == {}
    assert median(sizes.values()) <= FUNCTION_MEDIAN


def test_no_function_takes_more_parameters_than_its_budget() -> None:
    counts = {
        f"{module.place}:{function.lineno} {function.name}": _parameters(function)
        for module in MODULES.values()
        for function in module.functions
    }
    assert {where: count for where, count in counts.items() if count > PARAMETERS} == {}


@pytest.mark.parametrize("folder", ["bench", "scripts", "examples"])
def test_what_stands_beside_the_package_keeps_to_its_budgets(folder: str) -> None:
    paths = [
        path
        for path in sorted((ROOT / folder).rglob("*.py"))
        # Other people's programs.
        if not path.is_relative_to(ROOT / "bench" / "peers")
    ]
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}
    assert [place for place, text in texts.items() if len(text.splitlines()) > FILE_LINES] == []
    functions = [
        f"{place}:{node.lineno} {node.name}"
        for place, text in texts.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, Function)
        if _lines(node) > FUNCTION_LINES or _parameters(node) > PARAMETERS
    ]
    assert functions == []
