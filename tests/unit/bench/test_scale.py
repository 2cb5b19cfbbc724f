"""What scenario 5 makes of its rounds."""

from __future__ import annotations

import pytest
from bench.many_clients import percentile
from bench.scale import collect, medians
from bench.scale_streams import farthest


@pytest.mark.parametrize(
    ("costs", "expected"),
    [([2.0, 2.2, 3.0], 1.5), ([2.0, 1.0, 3.0], 0.5), ([2.0, 2.0], 1.0), ([2.0], 1.0)],
)
def test_farthest_is_farthest_either_way(costs: list[float], expected: float) -> None:
    assert farthest(costs) == expected


def test_curves_are_medians_of_the_rounds() -> None:
    collected: dict[str, dict[str, dict[float, list[float]]]] = {}
    for cost in (3.0, 1.0, 2.0):
        collect(collected, {"cost": {"server": (10, cost)}})
        collect(collected, {"cost": {"server": (100, 5.0)}})
    assert medians(collected) == {"cost": {"server": [[10, 2.0], [100, 5.0]]}}


def test_percentile_of_values_in_order() -> None:
    values = [float(value) for value in range(1000)]
    assert [percentile(values, share) for share in (0.5, 0.99, 0.999)] == [500, 990, 999]
    assert percentile([7.0], 0.999) == 7.0
    assert percentile([], 0.5) == 0.0
