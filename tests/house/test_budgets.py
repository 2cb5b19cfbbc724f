"""The budgets of docs/design.md section 4: small files, short functions, few parameters."""

from __future__ import annotations

from statistics import median

from tests.house.source import MODULES, Function

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
