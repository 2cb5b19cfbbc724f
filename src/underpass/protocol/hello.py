"""What client and server tell each other within the handshake (docs/protocol.md section 3).

Each message checks its bounds when it is made: `LocalProtocolError` for our own caller,
`RemoteProtocolError` when `parse` makes it from bytes. What follows the known fields is ignored: a
later version may add some.
"""

from __future__ import annotations

import dataclasses
import enum
import struct
from dataclasses import dataclass, field

from underpass.errors import LocalProtocolError, RemoteProtocolError
from underpass.protocol.wire import (
    MAX_SESSION_ID_BYTES,
    U8,
    Body,
    bytes8,
    check_session_id,
    remote_blame,
    text16,
)

VERSION = 1

# Long enough for two sentences, and far within an opening message.
MAX_REASON_BYTES = 1024

# The length of `bytes8`.
MAX_CODE_BYTES = 255

LIMIT_BOUNDS = {
    # An offset may pass its limit by a window, and both fit in 64 bits with much room.
    "initial_window": (1, 2**31 - 1),
    # Half the ids that one parity has.
    "streams": (1, 2**30),
    # A day: what is kept for a client that may never come back must end.
    "grace": (0, 86_400),
    # Not a load by itself, and still within what proxies let stand idle.
    "keepalive": (1_000, 600_000),
}

_WELCOME = 0

_CLIENT_HEAD = struct.Struct("!BIQ")
_SERVER_HEAD = struct.Struct("!BB")
_CAPABILITIES = struct.Struct("!I")
_TIME = struct.Struct("!Q")
_LIMITS = struct.Struct("!IIII")


class Capability(enum.IntFlag):
    """What an end can do beyond the protocol's core; unknown bits are kept and mean nothing."""

    DATAGRAMS = 1


NO_CAPABILITIES = Capability(0)


@enum.unique
class Status(enum.IntEnum):
    """Why a server refuses a hello."""

    VERSION = 1
    CLOCK = 2
    USER = 3
    CODE = 4
    FULL = 5
    DRAINING = 6


@dataclass(frozen=True, slots=True)
class Limits:
    """What the end that sends this grants the other, and wants of the session.

    `initial_window` in bytes a stream, `streams` open at once, `grace` in seconds, `keepalive` in
    milliseconds.
    """

    initial_window: int
    streams: int
    grace: int
    keepalive: int

    def __post_init__(self) -> None:
        for name, (least, most) in LIMIT_BOUNDS.items():
            if not least <= getattr(self, name) <= most:
                raise LocalProtocolError(f"{name} is not within {least} and {most}")

    def encode(self) -> bytes:
        """The bytes of the four limits."""
        return _LIMITS.pack(*dataclasses.astuple(self))

    @classmethod
    def read(cls, body: Body) -> Limits:
        """Read four limits from `body`."""
        return cls(*body.unpack(_LIMITS))


def negotiate(wanted: Limits, allowed: Limits) -> Limits:
    """What a server that allows `allowed` answers to a client that wants `wanted`.

    Each end grants its own window and streams; grace and keepalive are the lesser of both.
    """
    return dataclasses.replace(
        allowed,
        grace=min(wanted.grace, allowed.grace),
        keepalive=min(wanted.keepalive, allowed.keepalive),
    )


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a client says in Noise message 1.

    `timestamp` is in milliseconds since 1970; `code` an invite code, `former` the id of a session
    that could not be resumed: both may be empty.
    """

    timestamp: int
    limits: Limits
    capabilities: Capability = NO_CAPABILITIES
    code: bytes = field(default=b"", repr=False)
    former: bytes = b""

    def __post_init__(self) -> None:
        if len(self.code) > MAX_CODE_BYTES:
            raise LocalProtocolError(f"an invite code has at most {MAX_CODE_BYTES} bytes")
        if len(self.former) > MAX_SESSION_ID_BYTES:
            raise LocalProtocolError(f"a session id has at most {MAX_SESSION_ID_BYTES} bytes")

    def encode(self) -> bytes:
        """The payload of Noise message 1."""
        head = _CLIENT_HEAD.pack(VERSION, self.capabilities, self.timestamp)
        return head + self.limits.encode() + bytes8(self.code) + bytes8(self.former)


@dataclass(frozen=True, slots=True)
class OtherHello:
    """A client hello of a version that is not spoken here: to be refused with that status."""

    version: int
    timestamp: int


@remote_blame()
def parse_client_hello(payload: bytes) -> ClientHello | OtherHello:
    """Read the payload of Noise message 1. Raises `RemoteProtocolError`."""
    body = Body(payload)
    version, capabilities, timestamp = body.unpack(_CLIENT_HEAD)
    if version != VERSION:
        return OtherHello(version, timestamp)
    limits = Limits.read(body)
    return ClientHello(
        timestamp, limits, Capability(capabilities), code=body.bytes8(), former=body.bytes8()
    )


@dataclass(frozen=True, slots=True)
class ServerHello:
    """What a server says in Noise message 2 when it takes the client in.

    `limits.grace` and `limits.keepalive` hold for the session; `has_former` says whether the
    server still has the session that the client called its former one.
    """

    session_id: bytes
    limits: Limits
    capabilities: Capability = NO_CAPABILITIES
    has_former: bool = False

    def __post_init__(self) -> None:
        check_session_id(self.session_id)

    def encode(self) -> bytes:
        """The payload of Noise message 2."""
        head = _SERVER_HEAD.pack(VERSION, _WELCOME) + _CAPABILITIES.pack(self.capabilities)
        return head + bytes8(self.session_id) + self.limits.encode() + U8.pack(self.has_former)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a server says in Noise message 2 when it does not.

    `time` is its clock, in milliseconds since 1970; `reason` is text for people.
    """

    status: Status
    time: int
    reason: str = ""

    def __post_init__(self) -> None:
        if len(self.reason.encode("utf-8")) > MAX_REASON_BYTES:
            raise LocalProtocolError(f"a reason has at most {MAX_REASON_BYTES} bytes")

    def encode(self) -> bytes:
        """The payload of Noise message 2."""
        head = _SERVER_HEAD.pack(VERSION, self.status) + _TIME.pack(self.time)
        return head + text16(self.reason)


@remote_blame()
def parse_server_hello(payload: bytes) -> ServerHello | Refusal:
    """Read the payload of Noise message 2. Raises `RemoteProtocolError`."""
    body = Body(payload)
    version, status = body.unpack(_SERVER_HEAD)
    # A refusal looks the same in every version, or a client could not tell that it is too old.
    if status != _WELCOME:
        return _read_refusal(status, body)
    if version != VERSION:
        raise RemoteProtocolError("a server hello of a version that was not asked for")
    return _read_welcome(body)


def _read_refusal(status: int, body: Body) -> Refusal:
    if status not in set(Status):
        raise RemoteProtocolError("a server hello of an unknown status")
    (time,) = body.unpack(_TIME)
    return Refusal(Status(status), time, body.text16())


def _read_welcome(body: Body) -> ServerHello:
    (capabilities,) = body.unpack(_CAPABILITIES)
    session_id = body.bytes8()
    limits = Limits.read(body)
    (has_former,) = body.unpack(U8)
    if has_former > 1:
        raise RemoteProtocolError("a server hello that neither has nor lacks the former session")
    return ServerHello(session_id, limits, Capability(capabilities), has_former=bool(has_former))
