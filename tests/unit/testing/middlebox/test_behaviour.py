"""A behaviour as it is written."""

from __future__ import annotations

from underpass.testing.middlebox import Behaviour


def test_without_options_nothing_is_hostile() -> None:
    behaviour = Behaviour()
    chances = (behaviour.reset_chance, behaviour.unavailable_chance, behaviour.truncate_chance)
    assert set(chances) == {0}
    assert behaviour.forward


def test_prints_without_its_password() -> None:
    assert "sesame" not in repr(Behaviour(password="open sesame"))
