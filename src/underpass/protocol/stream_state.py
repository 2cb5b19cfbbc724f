"""The states of a stream (docs/protocol.md section 7), as a table; it does not know our role.

Two rules. Nothing but this table moves a stream's state. And the states are
about frames: what waits to be sent, or to be read by the application, is `mux_stream`'s.

The end that opens a stream may send data and fin before the other end has answered; as records
arrive in any order, the other end may see them before OPEN (EARLY). Data or fin from the far end
stands for OPENED, which then is late news. Whatever comes for a stream that is over is ignored.
"""

from __future__ import annotations

import enum
from typing import Final

from underpass.errors import LocalProtocolError, RemoteProtocolError


class StreamState(enum.Enum):
    """Where a stream stands."""

    IDLE = "idle"
    OPENING = "opening"
    OPENING_FIN_SENT = "opening, fin sent"
    EARLY = "early"
    EARLY_FIN = "early, fin received"
    OFFERED = "offered"
    OFFERED_FIN = "offered, fin received"
    OPEN = "open"
    FIN_SENT = "fin sent"
    FIN_RECEIVED = "fin received"
    CLOSED = "closed"
    RESET = "reset"
    REFUSED = "refused"

    # An enum's own hash is Python code, and states are looked up for every stream and frame.
    __hash__ = object.__hash__


class StreamInput(enum.Enum):
    """What happens to a stream."""

    SEND_OPEN = "send open"
    SEND_OPENED = "send opened"
    SEND_REFUSED = "send refused"
    SEND_DATA = "send data"
    SEND_FIN = "send fin"
    SEND_RESET = "send reset"
    RECEIVE_OPEN = "receive open"
    RECEIVE_OPENED = "receive opened"
    RECEIVE_REFUSED = "receive refused"
    RECEIVE_DATA = "receive data"
    RECEIVE_FIN = "receive fin"
    RECEIVE_RESET = "receive reset"

    # As above.
    __hash__ = object.__hash__


S = StreamState
I = StreamInput  # noqa: E741 - a table is read by its columns

_RECEIVED: Final = (
    I.RECEIVE_OPEN,
    I.RECEIVE_OPENED,
    I.RECEIVE_REFUSED,
    I.RECEIVE_DATA,
    I.RECEIVE_FIN,
    I.RECEIVE_RESET,
)

# (state, input) -> state. A pair that is not here is an error of whoever caused the input.
TRANSITIONS: Final[dict[tuple[StreamState, StreamInput], StreamState]] = {
    # The end that opens.
    (S.IDLE, I.SEND_OPEN): S.OPENING,
    (S.OPENING, I.SEND_DATA): S.OPENING,
    (S.OPENING, I.SEND_FIN): S.OPENING_FIN_SENT,
    (S.OPENING, I.SEND_RESET): S.RESET,
    (S.OPENING, I.RECEIVE_OPENED): S.OPEN,
    (S.OPENING, I.RECEIVE_REFUSED): S.REFUSED,
    (S.OPENING, I.RECEIVE_DATA): S.OPEN,
    (S.OPENING, I.RECEIVE_FIN): S.FIN_RECEIVED,
    (S.OPENING, I.RECEIVE_RESET): S.RESET,
    (S.OPENING_FIN_SENT, I.SEND_RESET): S.RESET,
    (S.OPENING_FIN_SENT, I.RECEIVE_OPENED): S.FIN_SENT,
    (S.OPENING_FIN_SENT, I.RECEIVE_REFUSED): S.REFUSED,
    (S.OPENING_FIN_SENT, I.RECEIVE_DATA): S.FIN_SENT,
    (S.OPENING_FIN_SENT, I.RECEIVE_FIN): S.CLOSED,
    (S.OPENING_FIN_SENT, I.RECEIVE_RESET): S.RESET,
    # The end that is asked. Before it answers it sends nothing else.
    (S.IDLE, I.RECEIVE_OPEN): S.OFFERED,
    (S.IDLE, I.RECEIVE_DATA): S.EARLY,
    (S.IDLE, I.RECEIVE_FIN): S.EARLY_FIN,
    (S.IDLE, I.RECEIVE_RESET): S.RESET,
    (S.EARLY, I.RECEIVE_OPEN): S.OFFERED,
    (S.EARLY, I.RECEIVE_DATA): S.EARLY,
    (S.EARLY, I.RECEIVE_FIN): S.EARLY_FIN,
    (S.EARLY, I.RECEIVE_RESET): S.RESET,
    (S.EARLY_FIN, I.RECEIVE_OPEN): S.OFFERED_FIN,
    (S.EARLY_FIN, I.RECEIVE_DATA): S.EARLY_FIN,
    (S.EARLY_FIN, I.RECEIVE_RESET): S.RESET,
    (S.OFFERED, I.RECEIVE_DATA): S.OFFERED,
    (S.OFFERED, I.RECEIVE_FIN): S.OFFERED_FIN,
    (S.OFFERED, I.RECEIVE_RESET): S.RESET,
    (S.OFFERED, I.SEND_OPENED): S.OPEN,
    (S.OFFERED, I.SEND_REFUSED): S.REFUSED,
    (S.OFFERED, I.SEND_RESET): S.RESET,
    (S.OFFERED_FIN, I.RECEIVE_DATA): S.OFFERED_FIN,
    (S.OFFERED_FIN, I.RECEIVE_RESET): S.RESET,
    (S.OFFERED_FIN, I.SEND_OPENED): S.FIN_RECEIVED,
    (S.OFFERED_FIN, I.SEND_REFUSED): S.REFUSED,
    (S.OFFERED_FIN, I.SEND_RESET): S.RESET,
    # Both alike. Data may come after fin when its record was overtaken.
    (S.OPEN, I.SEND_DATA): S.OPEN,
    (S.OPEN, I.SEND_FIN): S.FIN_SENT,
    (S.OPEN, I.SEND_RESET): S.RESET,
    (S.OPEN, I.RECEIVE_OPENED): S.OPEN,
    (S.OPEN, I.RECEIVE_DATA): S.OPEN,
    (S.OPEN, I.RECEIVE_FIN): S.FIN_RECEIVED,
    (S.OPEN, I.RECEIVE_RESET): S.RESET,
    (S.FIN_SENT, I.SEND_RESET): S.RESET,
    (S.FIN_SENT, I.RECEIVE_OPENED): S.FIN_SENT,
    (S.FIN_SENT, I.RECEIVE_DATA): S.FIN_SENT,
    (S.FIN_SENT, I.RECEIVE_FIN): S.CLOSED,
    (S.FIN_SENT, I.RECEIVE_RESET): S.RESET,
    (S.FIN_RECEIVED, I.SEND_DATA): S.FIN_RECEIVED,
    (S.FIN_RECEIVED, I.SEND_FIN): S.CLOSED,
    (S.FIN_RECEIVED, I.SEND_RESET): S.RESET,
    (S.FIN_RECEIVED, I.RECEIVE_OPENED): S.FIN_RECEIVED,
    (S.FIN_RECEIVED, I.RECEIVE_DATA): S.FIN_RECEIVED,
    (S.FIN_RECEIVED, I.RECEIVE_RESET): S.RESET,
    (S.CLOSED, I.RECEIVE_OPENED): S.CLOSED,
    (S.CLOSED, I.RECEIVE_DATA): S.CLOSED,
    (S.CLOSED, I.RECEIVE_RESET): S.RESET,
    (S.CLOSED, I.SEND_RESET): S.RESET,
    **{(S.RESET, received): S.RESET for received in _RECEIVED},
    **{(S.REFUSED, received): S.REFUSED for received in _RECEIVED},
}

# States in which nothing more is sent, and nothing more comes that matters.
OVER: Final = frozenset({S.RESET, S.REFUSED})
# States in which the application may send bytes.
SENDABLE: Final = frozenset({S.OPENING, S.OPEN, S.FIN_RECEIVED})
# States in which we have asked and not been answered.
OPENING: Final = frozenset({S.OPENING, S.OPENING_FIN_SENT})
# States of a stream of the other end that our application knows nothing of, or has not accepted.
NOT_OFFERED: Final = frozenset({S.IDLE, S.EARLY, S.EARLY_FIN})
NOT_ACCEPTED: Final = NOT_OFFERED | {S.OFFERED, S.OFFERED_FIN}
# States of a stream that stands in which data may come, and changes nothing.
FLOWING: Final = frozenset({S.OPEN, S.FIN_SENT})
# States in which the other end has sent its fin.
FINISHED: Final = frozenset({S.EARLY_FIN, S.OFFERED_FIN, S.FIN_RECEIVED, S.CLOSED})


def next_state(state: StreamState, happened: StreamInput) -> StreamState:
    """Return the state after `happened`.

    Raises `RemoteProtocolError` for a frame that the state forbids, and `LocalProtocolError` for
    a call that it forbids.
    """
    found = TRANSITIONS.get((state, happened))
    if found is not None:
        return found
    error = RemoteProtocolError if happened in _RECEIVED else LocalProtocolError
    raise error(f"{happened.value} on a stream that is {state.value}")
