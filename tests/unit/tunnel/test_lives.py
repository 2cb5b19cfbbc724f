"""What is learned of how long carriers live."""

from __future__ import annotations

import pytest

from underpass.tunnel.lives import Lives


@pytest.mark.parametrize(
    ("ended", "renewal"),
    [
        ([], None),
        ([60], None),
        ([60, 60], None),
        ([60, 60, 60], 51.0),
        ([61, 60, 63], 51.0),
        ([60, 10, 60], None),
        ([10, 60, 60, 60], 51.0),
        ([60, 60, 60, 5], None),
        # Shorter than any network's rule.
        ([2, 2, 2], None),
    ],
)
def test_equal_lives_in_a_row_are_a_rule(ended: list[float], renewal: float | None) -> None:
    lives = Lives()
    for seconds in ended:
        lives.ended(seconds)
    assert lives.renewal == (pytest.approx(renewal) if renewal is not None else None)
