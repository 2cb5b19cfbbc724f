"""The forms of a request's target (RFC 9112 section 3.2)."""

from __future__ import annotations

import enum
import functools
import re
from typing import Final, NamedTuple

from underpass.address import Address
from underpass.errors import Failure, RemoteProtocolError
from underpass.protocol.http.head import RequestHead

_ABSOLUTE = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^#]*)")
# RFC 3986 3.3 and 3.4, with what browsers send beyond it; never a fragment, space or control.
_ORIGIN_FORM = re.compile(rb"/[\x21\x22\x24-\x7e]*")
DEFAULT_PORT = b"80"

# As many addresses are remembered in their canonical form.
_REMEMBERED = 4096

# A WebSocket's opening is an HTTP request (RFC 6455 3), and some clients name it so to a proxy.
_SCHEMES = (b"http", b"ws")


class TargetForm(enum.Enum):
    """What a target is, which the method and the first byte decide."""

    ORIGIN = "origin-form"
    ABSOLUTE = "absolute-form"
    AUTHORITY = "authority-form"
    ASTERISK = "asterisk-form"


AUTHORITY_FORM: Final = TargetForm.AUTHORITY
ABSOLUTE_FORM: Final = TargetForm.ABSOLUTE


class AbsoluteTarget(NamedTuple):
    """Where an absolute-form target goes, and what is asked for there.

    `origin_form` is the target for the origin; `host_field` the value of its Host field.
    """

    address: Address
    origin_form: bytes
    host_field: bytes

    @property
    def absolute_form(self) -> bytes:
        """The target for another proxy; an OPTIONS for the server as a whole has no path."""
        path = b"" if self.origin_form == b"*" else self.origin_form
        return b"http://" + self.host_field + path


def form_of(head: RequestHead) -> TargetForm:
    """The form of the target. Raises `RemoteProtocolError` (BAD_TARGET) for none of the four."""
    if head.method == b"CONNECT":
        return AUTHORITY_FORM
    if head.target == b"*" and head.method == b"OPTIONS":
        return TargetForm.ASTERISK
    if _ABSOLUTE.fullmatch(head.target):
        return ABSOLUTE_FORM
    if _ORIGIN_FORM.fullmatch(head.target):
        return TargetForm.ORIGIN
    raise RemoteProtocolError("target in none of the forms of a request", Failure.BAD_TARGET)


def parse_authority(target: bytes) -> Address:
    """Parse CONNECT's ``host:port``: no default port, no user (RFC 9110 9.3.6).

    Raises `RemoteProtocolError` (BAD_TARGET).
    """
    try:
        return Address.parse(target.decode("ascii"))
    except ValueError as error:
        # UnicodeDecodeError is one too, and its text would repeat what was sent.
        reason = "not ASCII" if isinstance(error, UnicodeError) else str(error)
        raise RemoteProtocolError(f"bad target: {reason}", Failure.BAD_TARGET) from None


def parse_absolute(target: bytes, method: bytes) -> AbsoluteTarget:
    """Parse ``http://host[:port]/path`` (RFC 9112 3.2.2).

    Raises `RemoteProtocolError`: BAD_TARGET (user, bad host or port, fragment), NOT_IMPLEMENTED
    for a scheme that a proxy can't forward.
    """
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise RemoteProtocolError("bad target: no scheme://host", Failure.BAD_TARGET)
    scheme, authority, rest = match.groups()
    if scheme.lower() not in _SCHEMES:
        reason = "only http:// is forwarded; for others a client sends CONNECT"
        raise RemoteProtocolError(reason, Failure.NOT_IMPLEMENTED)
    address, host_field = _destination(authority)
    return AbsoluteTarget(address, _origin_form(rest, method), host_field)


@functools.lru_cache(_REMEMBERED)
def _destination(authority: bytes) -> tuple[Address, bytes]:
    """The address and the Host of what stands before the path, where it is neither more nor less.

    What is remembered is where somebody went, never who or what for.
    """
    if b"@" in authority:
        # A user before the host is how look-alike names are made (RFC 9110 4.2.4).
        raise RemoteProtocolError("bad target: a user in it", Failure.BAD_TARGET)
    host, port = _split_port(authority)
    address = parse_authority(host + b":" + (port or DEFAULT_PORT))
    return address, authority if port else host


def _split_port(authority: bytes) -> tuple[bytes, bytes]:
    host, colon, port = authority.rpartition(b":")
    if not colon or authority.endswith(b"]"):
        return authority, b""
    return host, port


def _origin_form(rest: bytes, method: bytes) -> bytes:
    if not rest:
        # RFC 9112 3.2.4: the last proxy asks for the server as a whole.
        return b"*" if method == b"OPTIONS" else b"/"
    origin_form = rest if rest.startswith(b"/") else b"/" + rest
    if not _ORIGIN_FORM.fullmatch(origin_form):
        raise RemoteProtocolError("bad target: malformed path", Failure.BAD_TARGET)
    return origin_form
