"""How a relay ends: the words of the access line."""

from __future__ import annotations

from underpass.net.ending import Ending, RelayTimeouts, Transfer


def test_each_ending_has_a_word_of_its_own_for_the_access_line() -> None:
    words = [ending.value for ending in Ending]
    assert len(set(words)) == len(words)
    assert Ending.COMPLETE.value == "ok"


def test_an_idle_tunnel_stands_by_default_and_a_half_closed_one_an_hour() -> None:
    assert RelayTimeouts() == RelayTimeouts(idle=0, half_close=3600)


def test_a_transfer_tells_both_ways_apart() -> None:
    assert Transfer(1, 2, Ending.COMPLETE) != Transfer(2, 1, Ending.COMPLETE)
