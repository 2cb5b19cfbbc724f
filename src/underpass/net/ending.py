"""How a relay comes to its end: what may end it, and what is told of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from underpass.errors import StreamError
from underpass.net.stream import Stream


class Ending(enum.Enum):
    """How a relay came to its end; the value is the word for the access line."""

    COMPLETE = "ok"
    LEFT_RESET = "reset by client"
    RIGHT_RESET = "reset by destination"
    IDLE = "idle"
    HALF_CLOSE_TIMEOUT = "half-close timeout"
    CUT = "ended by this proxy"


@dataclass(frozen=True, slots=True)
class RelayTimeouts:
    """Seconds; 0 means none. `half_close` counts from the first FIN."""

    idle: float = 0
    half_close: float = 3600


class Transfer(NamedTuple):
    """Bytes from left to right (`sent`), from right to left (`received`), and how it ended."""

    sent: int
    received: int
    ending: Ending


class Splice(Protocol):
    """What a stream that writes straight to another tells of itself."""

    def ended(self) -> None:
        """The other end of one of the two sent FIN, and it was passed on.

        The second FIN of a splice is left to whoever then closes both: closing sends it.
        """

    def lost(self, stream: Stream, error: StreamError | None) -> None:
        """`stream` is gone; `error` is None after an end in order. Told after any other end too."""
