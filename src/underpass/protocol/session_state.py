"""The states of a session (docs/protocol.md section 9), as a table."""

from __future__ import annotations

import enum
from typing import Final

from underpass.errors import LocalProtocolError


class SessionState(enum.Enum):
    """Where a session stands."""

    OPEN = "open"
    DETACHED = "detached"
    DRAINING = "draining"
    DRAINING_DETACHED = "draining, detached"
    CLOSING = "closing"
    CLOSED = "closed"


class SessionInput(enum.Enum):
    """What happens to a session."""

    CARRIER_ADDED = "carrier added"
    CARRIERS_GONE = "carriers gone"
    CLOSE_ASKED = "close asked"
    DRAINED = "drained"
    CLOSE_ACKNOWLEDGED = "close acknowledged"
    TIME_OVER = "time over"
    ENDED = "ended"


S = SessionState
I = SessionInput  # noqa: E741 - a table is read by its columns

# ENDED is the other end's CLOSE, an abort, or an error that ends the session.
TRANSITIONS: Final[dict[tuple[SessionState, SessionInput], SessionState]] = {
    (S.OPEN, I.CARRIER_ADDED): S.OPEN,
    (S.OPEN, I.CARRIERS_GONE): S.DETACHED,
    (S.OPEN, I.CLOSE_ASKED): S.DRAINING,
    (S.OPEN, I.ENDED): S.CLOSED,
    (S.DETACHED, I.CARRIER_ADDED): S.OPEN,
    (S.DETACHED, I.CLOSE_ASKED): S.DRAINING_DETACHED,
    (S.DETACHED, I.TIME_OVER): S.CLOSED,
    (S.DETACHED, I.ENDED): S.CLOSED,
    (S.DRAINING, I.CARRIER_ADDED): S.DRAINING,
    (S.DRAINING, I.CARRIERS_GONE): S.DRAINING_DETACHED,
    (S.DRAINING, I.CLOSE_ASKED): S.DRAINING,
    (S.DRAINING, I.DRAINED): S.CLOSING,
    (S.DRAINING, I.ENDED): S.CLOSED,
    (S.DRAINING_DETACHED, I.CARRIER_ADDED): S.DRAINING,
    (S.DRAINING_DETACHED, I.CLOSE_ASKED): S.DRAINING_DETACHED,
    (S.DRAINING_DETACHED, I.TIME_OVER): S.CLOSED,
    (S.DRAINING_DETACHED, I.ENDED): S.CLOSED,
    # CLOSE is out, and only its acknowledgement is awaited, for a while.
    (S.CLOSING, I.CARRIER_ADDED): S.CLOSING,
    (S.CLOSING, I.CARRIERS_GONE): S.CLOSING,
    (S.CLOSING, I.CLOSE_ASKED): S.CLOSING,
    (S.CLOSING, I.CLOSE_ACKNOWLEDGED): S.CLOSED,
    (S.CLOSING, I.TIME_OVER): S.CLOSED,
    (S.CLOSING, I.ENDED): S.CLOSED,
    **{(S.CLOSED, happened): S.CLOSED for happened in I},
}

DETACHED: Final = frozenset({S.DETACHED, S.DRAINING_DETACHED})


def next_state(state: SessionState, happened: SessionInput) -> SessionState:
    """Return the state after `happened`. Raises `LocalProtocolError` where it can't happen."""
    found = TRANSITIONS.get((state, happened))
    if found is None:
        raise LocalProtocolError(f"{happened.value} in a session that is {state.value}")
    return found
