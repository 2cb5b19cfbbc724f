"""The server's side of SOCKS 4, 4a and 5 (RFC 1928, RFC 1929), as a generator over a buffer.

It yields bytes to send, or `NEED_DATA`, and returns what the client wants. The reply comes later,
when it is known: `reply` makes it for the version that was asked.
"""

from __future__ import annotations

import enum
import ipaddress
import struct
from collections.abc import Callable, Generator
from dataclasses import dataclass

from underpass.address import Address
from underpass.errors import Failure, RemoteProtocolError
from underpass.protocol.grammar import Buffer, Need
from underpass.protocol.socks import CONNECT, LOGIN_VERSION, AddressType, Method

# Longer than any name (RFC 1035: 253) and any user id; SOCKS 4 ends both with a zero byte.
MAX_STRING = 255

# SOCKS 4: what stands for an address in 4a, and the replies.
_NAME_FOLLOWS = 0x000000FF
_GRANTED = 0x5A
_REJECTED = 0x5B

COMMAND_NOT_SUPPORTED = 7
ADDRESS_TYPE_NOT_SUPPORTED = 8


class SocksVersion(enum.IntEnum):
    """Which dialogue it is; 4a is a 4 with a name."""

    FOUR = 4
    FIVE = 5


@dataclass(frozen=True, slots=True)
class SocksRequest:
    """What a client wants: a stream to `address`."""

    version: SocksVersion
    address: Address


class SocksRefused(Exception):  # noqa: N818 - reads as what happened
    """The client is to be told `answer`, and the stream closed; `reason` is for the log."""

    def __init__(self, answer: bytes, reason: str) -> None:
        super().__init__(reason)
        self.answer = answer
        self.reason = reason


CheckLogin = Callable[[bytes, bytes], bool]
"""Whether a user and password are right, in constant time."""

ServerDialogue = Generator["bytes | Need", None, SocksRequest]
_Step = Generator["bytes | Need", None, bytes]


def serve_socks(buffer: Buffer, check: CheckLogin | None = None) -> ServerDialogue:
    """Take a client's request. With `check`, only SOCKS 5 with a user and password is let in.

    Raises `SocksRefused` with what to answer, `RemoteProtocolError` for what is no SOCKS, and
    `EndOfData`.
    """
    [version] = yield from buffer.read_exact(1)
    if version == SocksVersion.FIVE:
        return (yield from _serve_five(buffer, check))
    if version == SocksVersion.FOUR:
        if check is not None:
            raise SocksRefused(_reply_four(_REJECTED), "SOCKS 4 has no password")
        return (yield from _serve_four(buffer))
    raise RemoteProtocolError("not SOCKS")


def reply(version: SocksVersion, failure: Failure | None, bound: Address | None = None) -> bytes:
    """The answer to a request: `failure`, or None for a stream that stands, at `bound`."""
    if version is SocksVersion.FOUR:
        return _reply_four(_GRANTED if failure is None else _REJECTED)
    return _reply_five(0 if failure is None else failure.socks_reply, bound)


def _serve_five(buffer: Buffer, check: CheckLogin | None) -> ServerDialogue:
    [count] = yield from buffer.read_exact(1)
    methods = yield from buffer.read_exact(count)
    wanted = Method.NONE if check is None else Method.LOGIN
    if wanted not in methods:
        raise SocksRefused(bytes((SocksVersion.FIVE, Method.REFUSED)), "no method in common")
    yield bytes((SocksVersion.FIVE, wanted))
    if check is not None:
        yield from _log_in(buffer, check)
    version, command, reserved, kind = yield from buffer.read_exact(4)
    if version != SocksVersion.FIVE or reserved:
        raise RemoteProtocolError("not a SOCKS 5 request")
    host = yield from _host(buffer, kind)
    port = int.from_bytes((yield from buffer.read_exact(2)), "big")
    if command != CONNECT:
        raise SocksRefused(_reply_five(COMMAND_NOT_SUPPORTED), "only CONNECT is served")
    try:
        return SocksRequest(SocksVersion.FIVE, Address.of(host, port))
    except ValueError as error:
        answer = _reply_five(Failure.BAD_TARGET.socks_reply)
        raise SocksRefused(answer, f"bad address: {error}") from None


def _log_in(buffer: Buffer, check: CheckLogin) -> Generator[bytes | Need, None, None]:
    version, size = yield from buffer.read_exact(2)
    if version != LOGIN_VERSION:
        raise RemoteProtocolError("not a SOCKS login")
    user = yield from buffer.read_exact(size)
    [size] = yield from buffer.read_exact(1)
    password = yield from buffer.read_exact(size)
    if not check(user, password):
        raise SocksRefused(bytes((LOGIN_VERSION, 1)), "wrong user or password")
    yield bytes((LOGIN_VERSION, 0))


def _host(buffer: Buffer, kind: int) -> Generator[Need, None, str]:
    if kind == AddressType.IPV4:
        return str(ipaddress.IPv4Address((yield from buffer.read_exact(4))))
    if kind == AddressType.IPV6:
        return str(ipaddress.IPv6Address((yield from buffer.read_exact(16))))
    if kind != AddressType.NAME:
        raise SocksRefused(_reply_five(ADDRESS_TYPE_NOT_SUPPORTED), "unknown kind of address")
    [size] = yield from buffer.read_exact(1)
    # Any bytes; what is no name is refused with the address.
    return (yield from buffer.read_exact(size)).decode("latin-1")


def _serve_four(buffer: Buffer) -> ServerDialogue:
    command, port, number = struct.unpack("!BHI", (yield from buffer.read_exact(7)))
    yield from _string(buffer)
    host = str(ipaddress.IPv4Address(number))
    if 0 < number <= _NAME_FOLLOWS:
        # SOCKS 4a: 0.0.0.x, x not 0, and the name behind the user id.
        host = (yield from _string(buffer)).decode("latin-1")
    if command != CONNECT:
        raise SocksRefused(_reply_four(_REJECTED), "only CONNECT is served")
    try:
        return SocksRequest(SocksVersion.FOUR, Address.of(host, port))
    except ValueError as error:
        raise SocksRefused(_reply_four(_REJECTED), f"bad address: {error}") from None


def _string(buffer: Buffer) -> Generator[Need, None, bytes]:
    """Bytes up to a zero byte, which is taken too."""
    while (end := buffer.find(b"\0")) < 0:
        if len(buffer) > MAX_STRING:
            raise RemoteProtocolError("a SOCKS 4 string without an end")
        yield from buffer.more()
    if end > MAX_STRING:
        raise RemoteProtocolError("a SOCKS 4 string too long")
    return buffer.take(end + 1)[:-1]


def _reply_four(code: int) -> bytes:
    return struct.pack("!BBHI", 0, code, 0, 0)


def _reply_five(code: int, bound: Address | None = None) -> bytes:
    ip = bound.ip if bound is not None else None
    address = ip if ip is not None else ipaddress.IPv4Address(0)
    kind = AddressType.IPV4 if address.version == 4 else AddressType.IPV6
    port = bound.port if bound is not None and ip is not None else 0
    return struct.pack("!BBBB", 5, code, 0, kind) + address.packed + struct.pack("!H", port)
