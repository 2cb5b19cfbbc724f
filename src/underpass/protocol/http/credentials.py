"""Credentials for a proxy as they come in: Proxy-Authorization (RFC 9110 11.7, RFC 7617, 6750)."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field

from underpass.errors import RemoteProtocolError
from underpass.protocol.http.fields import Fields

_CREDENTIALS = re.compile(rb"([A-Za-z]{1,16}) +([A-Za-z0-9+/._~-]+=*)")


@dataclass(frozen=True, slots=True)
class Basic:
    """A user and password."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token."""

    token: str = field(repr=False)


def parse_proxy_authorization(fields: Fields) -> Basic | Bearer | None:
    """Return the credentials, None where there are none that we understand (answered by 407).

    Raises `RemoteProtocolError` for two fields: which of them would count?
    """
    values = fields.get_all(b"proxy-authorization")
    if len(values) > 1:
        raise RemoteProtocolError("more than one Proxy-Authorization field")
    match = _CREDENTIALS.fullmatch(values[0]) if values else None
    if match is None:
        return None
    scheme, value = match[1].lower(), match[2]
    if scheme == b"bearer":
        return Bearer(value.decode("ascii"))
    return _basic(value) if scheme == b"basic" else None


def _basic(value: bytes) -> Basic | None:
    try:
        text = base64.b64decode(value, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None
    user, colon, password = text.partition(":")
    if not colon or not text.isprintable():
        # RFC 7617 section 2: no control characters in either.
        return None
    return Basic(user, password)


def basic_challenge(realm: str) -> bytes:
    """A challenge for a user and password in UTF-8 (RFC 7617)."""
    return b'Basic realm="%s", charset="UTF-8"' % realm.encode("ascii")


def bearer_challenge(realm: str) -> bytes:
    """A challenge for a token (RFC 6750 section 3)."""
    return b'Bearer realm="%s"' % realm.encode("ascii")
