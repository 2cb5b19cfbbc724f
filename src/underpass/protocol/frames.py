"""Frames: what a record holds (docs/protocol.md section 6). Their bytes are `frame_codec`'s."""

from __future__ import annotations

import enum
from typing import Final, NamedTuple, TypeAlias

from underpass.errors import Failure

# A record's frames; large enough that crypto costs and calls do not.
MAX_FRAMES_BYTES: Final = 65_536
# A DATA frame that fills a record: 15 bytes are its own head.
MAX_DATA_BYTES: Final = 65_521
MAX_DATAGRAM_BYTES: Final = 65_000
MAX_ACK_RANGES: Final = 64
MAX_DETAILS_BYTES: Final = 1024
# A delay of acknowledgement is told in these seconds.
DELAY_UNIT: Final = 0.0001
MAX_DELAY_UNITS: Final = 0xFFFF

Payload: TypeAlias = bytes | memoryview


class Type(enum.IntEnum):
    """Frame types."""

    PADDING = 0x00
    OPEN = 0x01
    OPENED = 0x02
    REFUSED = 0x03
    DATA = 0x04
    FIN = 0x05
    RESET = 0x06
    WINDOW = 0x07
    ACK = 0x08
    SKIP = 0x09
    DATAGRAM = 0x0A
    PING = 0x0B
    PONG = 0x0C
    GOAWAY = 0x0D
    CLOSE = 0x0E


class Kind(enum.IntEnum):
    """What a stream carries."""

    BYTES = 0
    DATAGRAMS = 1


class ResetCode(enum.IntEnum):
    """Why a stream was reset."""

    RESET = 0
    TIMEOUT = 1
    INTERNAL = 2
    SESSION_LOST = 3


class CloseCode(enum.IntEnum):
    """Why a session ends, or takes no more streams."""

    DONE = 0
    PROTOCOL = 1
    LIMIT = 2
    USER_REMOVED = 3
    SHUTDOWN = 4
    INTERNAL = 5
    EXPIRED = 6


REFUSALS: Final[dict[int, Failure]] = {
    1: Failure.INTERNAL,
    2: Failure.BAD_TARGET,
    3: Failure.FORBIDDEN,
    4: Failure.IP_PROHIBITED,
    5: Failure.DNS_ERROR,
    6: Failure.DNS_TIMEOUT,
    7: Failure.CONNECTION_REFUSED,
    8: Failure.CONNECTION_TIMEOUT,
    9: Failure.NETWORK_UNREACHABLE,
    10: Failure.HOST_UNREACHABLE,
    11: Failure.CONNECTION_LIMIT,
    12: Failure.DRAINING,
    13: Failure.LOOP,
    14: Failure.UPSTREAM_REFUSED,
    15: Failure.CONNECTION_TERMINATED,
    16: Failure.NOT_IMPLEMENTED,
}
"""The codes of REFUSED; a failure that has none travels as 1."""

REFUSAL_CODES: Final = {failure: code for code, failure in REFUSALS.items()}


class Open(NamedTuple):
    """Asks for a stream of `kind` to a host and port, as they came."""

    stream: int
    kind: int
    host: str
    port: int


class Opened(NamedTuple):
    """The stream stands; `bound` is ``host:port`` at the far end, or empty."""

    stream: int
    bound: str


class Refused(NamedTuple):
    """The stream could not be opened."""

    stream: int
    failure: Failure
    details: str


class Data(NamedTuple):
    """Bytes of a stream, from `offset` on. A large payload is a view of the record."""

    stream: int
    offset: int
    data: Payload


class Fin(NamedTuple):
    """The end of the sender's direction."""

    stream: int
    offset: int


class Reset(NamedTuple):
    """The end of both directions, at once."""

    stream: int
    code: int


class Window(NamedTuple):
    """The receiver of this may send below offset `limit`."""

    stream: int
    limit: int


class Ack(NamedTuple):
    """All records below `next_seq` and in `ranges` have come; the newest waited `delay` units."""

    delay: int
    next_seq: int
    ranges: tuple[tuple[int, int], ...]


class Skip(NamedTuple):
    """Records `first` to `last` will not come."""

    first: int
    last: int


class Datagram(NamedTuple):
    """One datagram of a stream of that kind."""

    stream: int
    data: bytes


class Ping(NamedTuple):
    """Asks for a PONG; `interval` in milliseconds, 0 for none stated."""

    token: int
    interval: int


class Pong(NamedTuple):
    """Answers a PING."""

    token: int


class GoAway(NamedTuple):
    """No stream above `last` was or will be looked at."""

    last: int
    code: int
    reason: str


class Close(NamedTuple):
    """Ends the session."""

    code: int
    reason: str


Frame: TypeAlias = (
    Open
    | Opened
    | Refused
    | Data
    | Fin
    | Reset
    | Window
    | Ack
    | Skip
    | Datagram
    | Ping
    | Pong
    | GoAway
    | Close
)
