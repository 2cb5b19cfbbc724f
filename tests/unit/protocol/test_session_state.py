"""The table of a session's states: every pair of state and input."""

from __future__ import annotations

import itertools

import pytest

from underpass.errors import LocalProtocolError
from underpass.protocol.session_state import (
    DETACHED,
    TRANSITIONS,
    SessionInput,
    SessionState,
    next_state,
)

S, I = SessionState, SessionInput  # noqa: E741 - as in the table

# By what each input does to each state; "." is an error.
COLUMNS = """
                    open     detached  draining draining-detached closing closed
carrier added       open     open      draining draining          closing closed
carriers gone       detached .         draining-detached .        closing closed
close asked         draining draining-detached draining draining-detached closing closed
drained             .        .         closing  .                 .       closed
close acknowledged  .        .         .        .                 closed  closed
time over           .        closed    .        closed            closed  closed
ended               closed   closed    closed   closed            closed  closed
"""

NAMES = {
    "open": S.OPEN,
    "detached": S.DETACHED,
    "draining": S.DRAINING,
    "draining-detached": S.DRAINING_DETACHED,
    "closing": S.CLOSING,
    "closed": S.CLOSED,
}


def expected() -> dict[tuple[SessionState, SessionInput], SessionState | None]:
    head, *rows = COLUMNS.strip("\n").splitlines()
    states = [NAMES[name] for name in head.split()]
    found: dict[tuple[SessionState, SessionInput], SessionState | None] = {}
    for row in rows:
        happened = SessionInput(row[:20].strip())
        for state, after in zip(states, row[20:].split(), strict=True):
            found[state, happened] = NAMES.get(after)
    return found


EXPECTED = expected()


def test_every_pair_is_decided() -> None:
    assert set(EXPECTED) == set(itertools.product(SessionState, SessionInput))


@pytest.mark.parametrize(("state", "happened"), EXPECTED)
def test_a_pair_has_its_next_state_or_its_error(
    state: SessionState, happened: SessionInput
) -> None:
    after = EXPECTED[state, happened]
    if after is not None:
        assert next_state(state, happened) is after
        return
    with pytest.raises(LocalProtocolError, match=f"{happened.value} in a session that is"):
        next_state(state, happened)


def test_every_state_is_reached() -> None:
    reached = {S.OPEN}
    for _ in SessionState:
        reached |= {after for (before, _), after in TRANSITIONS.items() if before in reached}
    assert reached == set(SessionState)


def test_closed_stays_closed() -> None:
    assert {after for (before, _), after in TRANSITIONS.items() if before is S.CLOSED} == {S.CLOSED}


def test_the_detached_are_those_that_time_ends() -> None:
    over = {before for (before, what) in TRANSITIONS if what is I.TIME_OVER}
    assert over - {S.CLOSING, S.CLOSED} == DETACHED
