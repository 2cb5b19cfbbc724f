"""How a further carrier joins a session, or a first one comes back to it.

docs/protocol.md section 5. The id of a session is no secret: an attach proves the session's key
with a mac, and nothing of the session is touched before that is verified. `next_seq` is the number
of the first record that the sender lacks; `nonce` is fresh and random, and binds the answer to it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.constant_time import bytes_eq
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from underpass.protocol.opening import Kind, Opening
from underpass.protocol.wire import Body, bytes8, check_session_id, remote_blame

NONCE_BYTES = 16
MAC_BYTES = 32

# That one begins the other does no harm: as the length of a session id "e" would be too long.
_ATTACH_LABEL = b"underpass attach"
_ATTACHED_LABEL = b"underpass attached"

_ATTACH = struct.Struct(f"!I{NONCE_BYTES}sQ")
_ATTACHED = struct.Struct("!IQ")


@dataclass(frozen=True, slots=True)
class Attach:
    """A client says: this carrier is number `number` of the session `session_id`."""

    session_id: bytes
    number: int
    nonce: bytes
    next_seq: int
    mac: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        check_session_id(self.session_id)

    @property
    def fields(self) -> bytes:
        """The body without the mac, which is made over it."""
        return bytes8(self.session_id) + _ATTACH.pack(self.number, self.nonce, self.next_seq)


@dataclass(frozen=True, slots=True)
class Attached:
    """A server says: it is."""

    number: int
    next_seq: int
    mac: bytes = field(default=b"", repr=False)

    @property
    def fields(self) -> bytes:
        """The body without the mac, which is made over it and the client's nonce."""
        return _ATTACHED.pack(self.number, self.next_seq)


def make_attach(key: bytes, session_id: bytes, number: int, nonce: bytes, next_seq: int) -> bytes:
    """The whole opening message of a client that attaches, proved with the attach key `key`."""
    fields = Attach(session_id, number, nonce, next_seq).fields
    return Opening(Kind.ATTACH, fields + _mac(key, _ATTACH_LABEL, fields)).encode()


@remote_blame()
def parse_attach(body: bytes) -> Attach:
    """Read the body of an ATTACH, of which nothing is proved yet. Raises `RemoteProtocolError`."""
    reader = Body(body)
    session_id = reader.bytes8()
    number, nonce, next_seq = reader.unpack(_ATTACH)
    attach = Attach(session_id, number, nonce, next_seq, reader.take(MAC_BYTES))
    reader.end()
    return attach


def verify_attach(key: bytes, attach: Attach) -> bool:
    """Whether a holder of the attach key `key` made `attach`; it may still be a replay."""
    return bytes_eq(_mac(key, _ATTACH_LABEL, attach.fields), attach.mac)


def make_attached(key: bytes, number: int, next_seq: int, nonce: bytes) -> bytes:
    """The whole opening message of a server that accepts the attach with `nonce`."""
    fields = Attached(number, next_seq).fields
    return Opening(Kind.ATTACHED, fields + _mac(key, _ATTACHED_LABEL, fields + nonce)).encode()


def parse_attached(body: bytes) -> Attached:
    """Read the body of an ATTACHED, of which nothing is proved yet.

    Raises `RemoteProtocolError`.
    """
    reader = Body(body)
    number, next_seq = reader.unpack(_ATTACHED)
    attached = Attached(number, next_seq, reader.take(MAC_BYTES))
    reader.end()
    return attached


def verify_attached(key: bytes, attached: Attached, nonce: bytes) -> bool:
    """Whether a holder of the attach key `key` made `attached` for the attach with `nonce`."""
    return bytes_eq(_mac(key, _ATTACHED_LABEL, attached.fields + nonce), attached.mac)


def make_unknown(session_id: bytes) -> bytes:
    """The whole opening message of a server that has no such session. It proves nothing."""
    check_session_id(session_id)
    return Opening(Kind.UNKNOWN, bytes8(session_id)).encode()


@remote_blame()
def parse_unknown(body: bytes) -> bytes:
    """Read the session id in the body of an UNKNOWN. Raises `RemoteProtocolError`."""
    reader = Body(body)
    session_id = reader.bytes8()
    check_session_id(session_id)
    reader.end()
    return session_id


def _mac(key: bytes, label: bytes, proved: bytes) -> bytes:
    mac = HMAC(key, SHA256())
    mac.update(label + proved)
    return mac.finalize()
