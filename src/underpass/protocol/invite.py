"""`Invite`: all that a client needs to come in for the first time, on one line.

::

    underpass:BASE64URL
    version u8 (1) | url text16 | server key 32
    name bytes8 | code bytes8 | pin bytes8 | check 4

`check` is the start of the SHA-256 of all before it: it tells of a line that lost a character on
its way through a chat or a mail. It proves nothing else; what an invite says is believed because of
who handed it over.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field

from underpass.errors import RemoteProtocolError
from underpass.protocol.wire import U8, Body, bytes8, text16

PREFIX = "underpass:"
VERSION = 1

KEY_BYTES = 32
PIN_BYTES = 32
# 128 random bits: nothing to guess.
CODE_BYTES = 16
CHECK_BYTES = 4

# A URL of 2,000 characters is longer than most servers take; the rest is below 700 bytes.
MAX_URL = 2000
MAX_LINE = 4096


@dataclass(frozen=True, slots=True)
class Invite:
    """See the module. `code` is the secret; `pin`, if any, is `SHA-256(SubjectPublicKeyInfo)`.

    Raises `ValueError` for fields that can't be.
    """

    url: str
    server_key: bytes
    name: str
    code: bytes = field(repr=False)
    pin: bytes = b""

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")) or len(self.url) > MAX_URL:
            raise ValueError(f"an invite's URL is http:// or https://, up to {MAX_URL} characters")
        if not self.url.isascii() or not self.url.isprintable() or " " in self.url:
            raise ValueError("an invite's URL is printable ASCII without spaces")
        if len(self.server_key) != KEY_BYTES:
            raise ValueError(f"a server's key has {KEY_BYTES} bytes")
        if len(self.pin) not in (0, PIN_BYTES):
            raise ValueError(f"a pin has {PIN_BYTES} bytes")
        if not 1 <= len(self.name) <= 64 or not self.name.isascii() or not self.name.isprintable():
            raise ValueError("a name has 1 to 64 printable ASCII characters")
        if not 1 <= len(self.code) <= 255:
            raise ValueError("an invite's code has 1 to 255 bytes")

    def format(self) -> str:
        """The line to hand over. It holds the code: whoever reads it can come in."""
        body = U8.pack(VERSION) + text16(self.url) + self.server_key
        body += bytes8(self.name.encode("ascii")) + bytes8(self.code) + bytes8(self.pin)
        return PREFIX + base64.urlsafe_b64encode(body + _check(body)).decode("ascii").rstrip("=")

    @classmethod
    def parse(cls, text: str) -> Invite:
        """Read a line. Raises `ValueError` with a reason that a person can act on, never a secret.

        Spaces and line ends are left out, as mail programs put them in.
        """
        line = "".join(text.split())
        if not line:
            raise ValueError("no invite was given")
        if not line.startswith(PREFIX):
            raise ValueError(f"not an invite: one begins with {PREFIX!r}")
        if len(line) > MAX_LINE:
            raise ValueError(f"not an invite: one has at most {MAX_LINE} characters")
        return cls._read(_decoded(line.removeprefix(PREFIX)))

    @classmethod
    def _read(cls, data: bytes) -> Invite:
        body, check = data[:-CHECK_BYTES], data[-CHECK_BYTES:]
        if _check(body) != check:
            raise ValueError("the invite is damaged: copy the whole line once more")
        fields = Body(body)
        try:
            (version,) = fields.unpack(U8)
            if version != VERSION:
                raise ValueError(f"an invite of version {version}: a newer underpass made it")
            invite = cls(
                url=fields.text16(),
                server_key=fields.take(KEY_BYTES),
                name=fields.bytes8().decode("ascii"),
                code=fields.bytes8(),
                pin=fields.bytes8(),
            )
            fields.end()
        except (RemoteProtocolError, UnicodeDecodeError):
            raise ValueError("the invite is malformed: ask for another one") from None
        return invite


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("the invite is damaged: copy the whole line once more") from None


def _check(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:CHECK_BYTES]
