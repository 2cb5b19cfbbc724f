"""`Ranges` against a plain set of numbers."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.protocol.ranges import Ranges

PAIRS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 12)).map(lambda pair: (pair[0], sum(pair))),
    max_size=12,
)


def test_none_at_first() -> None:
    ranges = Ranges()
    assert (len(ranges), list(ranges), ranges.first, 0 in ranges) == (0, [], None, False)
    with pytest.raises(IndexError):
        ranges.pop_first()


def test_ranges_that_touch_are_joined() -> None:
    ranges = Ranges()
    assert ranges.add(5, 6) == [(5, 6)]
    assert ranges.add(9, 9) == [(9, 9)]
    assert ranges.add(7, 8) == [(7, 8)]
    assert list(ranges) == [(5, 9)]
    assert repr(ranges) == "<Ranges 5-9>"


def test_only_what_is_new_is_told() -> None:
    ranges = Ranges()
    ranges.add(2, 3)
    ranges.add(6, 7)
    assert ranges.add(0, 9) == [(0, 1), (4, 5), (8, 9)]
    assert ranges.add(1, 8) == []
    assert list(ranges) == [(0, 9)]


def test_the_lowest_goes_first() -> None:
    ranges = Ranges()
    ranges.add(4, 5)
    ranges.add(1, 1)
    assert ranges.first == 1
    assert ranges.pop_first() == (1, 1)
    assert ranges.pop_first() == (4, 5)
    ranges.add(3, 3)
    ranges.clear()
    assert (len(ranges), 3 in ranges) == (0, False)


@given(PAIRS)
def test_it_is_a_set_of_numbers(pairs: list[tuple[int, int]]) -> None:
    ranges, numbers = Ranges(), set[int]()
    for first, last in pairs:
        added = set(range(first, last + 1))
        new = ranges.add(first, last)
        assert [n for one, two in new for n in range(one, two + 1)] == sorted(added - numbers)
        numbers |= added
        assert [n in ranges for n in range(60)] == [n in numbers for n in range(60)]
        assert [n for one, two in ranges for n in range(one, two + 1)] == sorted(numbers)
        # Never touching, always rising.
        bounds = list(ranges)
        assert all(one[1] + 1 < two[0] for one, two in pairwise(bounds))
        assert ranges.first == min(numbers)
