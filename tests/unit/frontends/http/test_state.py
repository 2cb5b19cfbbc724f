"""The options of a front end: safe where nobody chose, and none that a request can change."""

from __future__ import annotations

import dataclasses

import pytest

from tests.unit.frontends.http.dialogue import Dialled
from underpass.frontends.http.pool import Pool, PoolLimits
from underpass.frontends.http.state import FrontEndOptions, FrontEndState
from underpass.observe import Observer


def test_every_wait_is_bounded_where_nobody_chose() -> None:
    options = FrontEndOptions()
    assert 0 < options.head_timeout <= 10
    assert 0 < options.keep_alive_timeout <= 60
    assert options.response_timeout
    assert options.relay.half_close
    assert 0 < options.pool.idle_timeout <= options.keep_alive_timeout


def test_options_are_replaced_as_a_whole() -> None:
    options = FrontEndOptions()
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.head_timeout = 1.0  # type: ignore[misc]  # that it is refused is the test
    assert dataclasses.replace(options, identity="other").head == options.head


def test_a_new_state_lets_everybody_in() -> None:
    state = FrontEndState(Dialled(), Observer(), FrontEndOptions(), None, Pool(PoolLimits()))
    assert (state.draining, state.generation) == (False, 0)
