"""The client's side of SOCKS5 (RFC 1928, RFC 1929), as a generator over a buffer.

It yields bytes to send, or `NEED_DATA`; it returns when the proxy has opened the stream.
"""

from __future__ import annotations

import enum
import ipaddress
import struct
from collections.abc import Generator

from underpass.address import Address
from underpass.errors import DialError, Failure, LoginRefused, RemoteProtocolError
from underpass.protocol.grammar import Buffer, Need
from underpass.protocol.http.digest import Login

VERSION = 5
LOGIN_VERSION = 1


class Method(enum.IntEnum):
    """How a client shows who it is (RFC 1928 section 3)."""

    NONE = 0
    LOGIN = 2
    REFUSED = 0xFF


class AddressType(enum.IntEnum):
    """What an address is (RFC 1928 section 5)."""

    IPV4 = 1
    NAME = 3
    IPV6 = 4


CONNECT = 1

_REPLIES = {
    1: Failure.UPSTREAM_REFUSED,
    2: Failure.FORBIDDEN,
    3: Failure.NETWORK_UNREACHABLE,
    4: Failure.HOST_UNREACHABLE,
    5: Failure.CONNECTION_REFUSED,
    6: Failure.CONNECTION_TIMEOUT,
    7: Failure.UPSTREAM_REFUSED,
    8: Failure.UPSTREAM_REFUSED,
}

Dialogue = Generator["bytes | Need", None, None]


def connect_through(buffer: Buffer, address: Address, login: Login | None) -> Dialogue:
    """Ask a SOCKS5 proxy for a stream to `address`; names are resolved at its side.

    Raises `DialError` for its refusals, `RemoteProtocolError` (UPSTREAM_PROTOCOL) for what is no
    SOCKS5, and `EndOfData`.
    """
    methods = [Method.NONE, Method.LOGIN] if login is not None else [Method.NONE]
    yield bytes((VERSION, len(methods), *methods))
    version, method = yield from buffer.read_exact(2)
    if version != VERSION:
        raise _broken("not a SOCKS5 proxy")
    if method == Method.LOGIN and login is not None:
        yield from _log_in(buffer, login)
    elif method != Method.NONE:
        raise DialError(Failure.UPSTREAM_REFUSED, "the SOCKS proxy wants a login that we have not")
    yield struct.pack("!BBB", VERSION, CONNECT, 0) + _encode(address)
    version, reply, _, kind = yield from buffer.read_exact(4)
    if version != VERSION:
        raise _broken("not a SOCKS5 reply")
    if reply:
        raise DialError(_REPLIES.get(reply, Failure.UPSTREAM_REFUSED), f"SOCKS reply {reply}")
    yield from _skip_address(buffer, kind)


def _log_in(buffer: Buffer, login: Login) -> Dialogue:
    user, password = login.user.encode("utf-8"), login.password.encode("utf-8")
    if not (1 <= len(user) <= 255 and 1 <= len(password) <= 255):
        raise DialError(Failure.UPSTREAM_REFUSED, "SOCKS wants 1 to 255 bytes of user and password")
    yield b"%c%c%s%c%s" % (LOGIN_VERSION, len(user), user, len(password), password)
    version, status = yield from buffer.read_exact(2)
    if version != LOGIN_VERSION:
        raise _broken("not an answer to a SOCKS login")
    if status:
        raise LoginRefused(Failure.UPSTREAM_REFUSED, "the SOCKS proxy refused the login")


def _encode(address: Address) -> bytes:
    ip = address.ip
    port = struct.pack("!H", address.port)
    if isinstance(ip, ipaddress.IPv4Address):
        return bytes((AddressType.IPV4,)) + ip.packed + port
    if ip is not None:
        return bytes((AddressType.IPV6,)) + ip.packed + port
    name = address.host.encode("ascii")
    return bytes((AddressType.NAME, len(name))) + name + port


def _skip_address(buffer: Buffer, kind: int) -> Dialogue:
    """Read over the address bound, which says nothing about the destination."""
    if kind == AddressType.IPV4:
        size = 4
    elif kind == AddressType.IPV6:
        size = 16
    elif kind == AddressType.NAME:
        size = (yield from buffer.read_exact(1))[0]
    else:
        raise _broken("unknown address type in a SOCKS reply")
    yield from buffer.read_exact(size + 2)


def _broken(reason: str) -> RemoteProtocolError:
    return RemoteProtocolError(reason, Failure.UPSTREAM_PROTOCOL)
