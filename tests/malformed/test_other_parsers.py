"""What httptools and h11 let through of the corpus: the figures that the decision rests on.

docs/decisions/002-own-http-parser.md quotes them in a table; it is held to what is measured here.
A new version of either library may change a figure: then the page is read again, and changed.
"""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.house.source import ROOT
from tests.malformed.lenient import Verdict, h11_requests, httptools_requests
from tests.malformed.requests import REQUESTS

PAGE = ROOT / "docs" / "decisions" / "002-own-http-parser.md"
_ROW = re.compile(r"\| `([a-z]+)` \|[^|]*\| ([0-9,]+) \| ([0-9,]+) \| ([0-9,]+) \|")
_SUM = re.compile(r"\| \*\*all\*\* \|[^|]*\| ([0-9,]+) \| ([0-9,]+) \| ([0-9,]+) \|")

# Those that are refused for what they ask are no business of a parser.
GRAMMAR = [case for case in REQUESTS if case.kind not in ("early", "unread")]

Figures = dict[str, tuple[int, int, int]]


def measured() -> Figures:
    """By class: how many inputs, and of how many httptools and h11 make a whole request."""
    total = Counter(case.kind for case in GRAMMAR)
    by_httptools, by_h11 = _let_through(httptools_requests), _let_through(h11_requests)
    return {kind: (n, by_httptools[kind], by_h11[kind]) for kind, n in total.items()}


def _let_through(requests_of: Verdict) -> Counter[str]:
    return Counter(
        case.kind for case in GRAMMAR if requests_of(case.bytes_for(b"127.0.0.1", 80), case.ends)
    )


def quoted(pattern: re.Pattern[str]) -> list[tuple[str, ...]]:
    return [tuple(row.groups()) for row in pattern.finditer(PAGE.read_text(encoding="utf-8"))]


def _numbers(cells: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(int(cell.replace(",", "")) for cell in cells)


@pytest.mark.slow
def test_the_page_says_what_each_parser_lets_through() -> None:
    figures = measured()
    assert {row[0]: _numbers(row[1:]) for row in quoted(_ROW)} == figures
    sums = tuple(sum(column) for column in zip(*figures.values(), strict=True))
    assert [_numbers(row) for row in quoted(_SUM)] == [sums]
