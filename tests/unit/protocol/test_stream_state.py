"""The table of a stream's states: every pair of state and input, and what the groups mean."""

from __future__ import annotations

import itertools

import pytest

from underpass.errors import LocalProtocolError, RemoteProtocolError
from underpass.protocol.stream_state import (
    FINISHED,
    NOT_ACCEPTED,
    NOT_OFFERED,
    OPENING,
    OVER,
    SENDABLE,
    TRANSITIONS,
    StreamInput,
    StreamState,
    next_state,
)

S, I = StreamState, StreamInput  # noqa: E741 - as in the table

# The table once more, by what each input does to each state: "." is an error.
COLUMNS = """
                   idle opening opening-fin early early-fin offered offered-fin open fin-sent fin-received closed reset refused
send open          opening . . . . . . . . . . . .
send opened        . . . . . open fin-received . . . . . .
send refused       . . . . . refused refused . . . . . .
send data          . opening . . . . . open . fin-received . . .
send fin           . opening-fin . . . . . fin-sent . closed . . .
send reset         . reset reset . . reset reset reset reset reset reset . .
receive open       offered . . offered offered-fin . . . . . . reset refused
receive opened     . open fin-sent . . . . open fin-sent fin-received closed reset refused
receive refused    . refused refused . . . . . . . . reset refused
receive data       early open fin-sent early early-fin offered offered-fin open fin-sent fin-received closed reset refused
receive fin        early-fin fin-received closed early-fin . offered-fin . fin-received closed . . reset refused
receive reset      reset reset reset reset reset reset reset reset reset reset reset reset refused
"""  # noqa: E501 - a table

NAMES = {
    "idle": S.IDLE,
    "opening": S.OPENING,
    "opening-fin": S.OPENING_FIN_SENT,
    "early": S.EARLY,
    "early-fin": S.EARLY_FIN,
    "offered": S.OFFERED,
    "offered-fin": S.OFFERED_FIN,
    "open": S.OPEN,
    "fin-sent": S.FIN_SENT,
    "fin-received": S.FIN_RECEIVED,
    "closed": S.CLOSED,
    "reset": S.RESET,
    "refused": S.REFUSED,
}


def expected() -> dict[tuple[StreamState, StreamInput], StreamState | None]:
    head, *rows = COLUMNS.strip("\n").splitlines()
    states = [NAMES[name] for name in head.split()]
    found: dict[tuple[StreamState, StreamInput], StreamState | None] = {}
    for row in rows:
        happened = StreamInput(row[:19].strip())
        for state, after in zip(states, row[19:].split(), strict=True):
            found[state, happened] = NAMES.get(after)
    return found


EXPECTED = expected()


def test_every_pair_is_decided() -> None:
    assert set(EXPECTED) == set(itertools.product(StreamState, StreamInput))


@pytest.mark.parametrize(("state", "happened"), EXPECTED)
def test_a_pair_has_its_next_state_or_its_error(state: StreamState, happened: StreamInput) -> None:
    after = EXPECTED[state, happened]
    if after is not None:
        assert next_state(state, happened) is after
        return
    blamed = RemoteProtocolError if happened.name.startswith("RECEIVE") else LocalProtocolError
    with pytest.raises(blamed, match=f"{happened.value} on a stream that is {state.value}"):
        next_state(state, happened)


def test_every_state_is_reached() -> None:
    reached = {S.IDLE}
    for _ in StreamState:
        reached |= {after for (before, _), after in TRANSITIONS.items() if before in reached}
    assert reached == set(StreamState)


def test_from_every_state_a_stream_can_end() -> None:
    ended = {S.RESET, S.REFUSED, S.CLOSED}
    for _ in StreamState:
        ended |= {before for (before, _), after in TRANSITIONS.items() if after in ended}
    assert ended == set(StreamState)


def test_reset_stays_reset_and_refused_stays_refused() -> None:
    for (before, _), after in TRANSITIONS.items():
        if before in OVER:
            assert after is before


def test_fin_stays_fin() -> None:
    after_fin = {S.EARLY_FIN, S.OFFERED_FIN, S.FIN_RECEIVED, S.CLOSED, *OVER}
    sent_fin = {S.OPENING_FIN_SENT, S.FIN_SENT, S.CLOSED, *OVER}
    for (before, _), after in TRANSITIONS.items():
        assert before not in FINISHED or after in after_fin
        assert before not in {S.OPENING_FIN_SENT, S.FIN_SENT} or after in sent_fin


def test_the_groups_are_what_the_table_says() -> None:
    assert {before for (before, what) in TRANSITIONS if what is I.SEND_DATA} == SENDABLE
    opened = {(before, what) for before, what in TRANSITIONS if what is I.RECEIVE_REFUSED}
    assert {before for before, _ in opened} - OVER == OPENING
    waiting = {before for (before, what) in TRANSITIONS if what is I.RECEIVE_OPEN}
    assert waiting - OVER == NOT_OFFERED
    answerable = {before for (before, what) in TRANSITIONS if what is I.SEND_OPENED}
    assert answerable == NOT_ACCEPTED - NOT_OFFERED
