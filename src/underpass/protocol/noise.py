"""Noise_IK_25519_AESGCM_SHA256 (Noise Protocol Framework, revision 34), that pattern alone.

::

    IK:
      <- s                      the initiator knows the responder's static key beforehand
      ...
      -> e, es, s, ss           message 1: its payload is sealed, but a replay can't be told
      <- e, ee, se              message 2: both are proved, and later theft of keys opens nothing

The classes and their methods carry the names of the framework's section 5, so that the two can be
read side by side. What section 5 leaves open for other patterns is not here: no key is ever empty,
and both messages start with ``e``.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from underpass.errors import LocalProtocolError, RemoteProtocolError
from underpass.protocol.wire import Body

KEY_BYTES = 32
TAG_BYTES = 16

# 28 bytes, padded to the size of a hash (section 5.2).
PROTOCOL_NAME = b"Noise_IK_25519_AESGCM_SHA256".ljust(32, b"\0")


class Key(enum.Enum):
    """The two keys that each end has."""

    EPHEMERAL = "e"
    STATIC = "s"


E, S = Key

# A key is said; a pair of keys, the initiator's first, is mixed to a secret that both ends share.
Token: TypeAlias = Key | tuple[Key, Key]

PATTERN: tuple[tuple[Token, ...], ...] = (
    (E, (E, S), S, (S, S)),
    (E, (E, E), (S, E)),
)

# The nonce that no message has (section 5.1), and REKEY alone uses (section 4.2).
_REKEY_NONCE = bytes(4) + b"\xff" * 8


def rekey(key: bytes) -> bytes:
    """REKEY of section 4.2: the key that comes after `key`, from which `key` can't be told."""
    return AESGCM(key).encrypt(_REKEY_NONCE, bytes(KEY_BYTES), None)[:KEY_BYTES]


def public_key(private: bytes) -> bytes:
    """The public half of a 32-byte private key."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


class CipherState:
    """A key and the number of the next message under it (section 5.1)."""

    __slots__ = ("_aead", "_number")

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)
        self._number = 0

    def encrypt_with_ad(self, ad: bytes, plaintext: bytes) -> bytes:
        """Seal the next message."""
        return self._aead.encrypt(self._nonce(), plaintext, ad)

    def decrypt_with_ad(self, ad: bytes, ciphertext: bytes) -> bytes:
        """Open the next message. Raises `RemoteProtocolError`; no further one opens then."""
        try:
            return self._aead.decrypt(self._nonce(), ciphertext, ad)
        except InvalidTag:
            raise RemoteProtocolError("a message does not open") from None

    def _nonce(self) -> bytes:
        self._number += 1
        return (self._number - 1).to_bytes(12, "big")


class SymmetricState:
    """The chaining key, the hash of all that was said, and the cipher in force (section 5.2)."""

    __slots__ = ("_chaining_key", "_cipher", "hash")

    _cipher: CipherState

    def __init__(self) -> None:
        self.hash = self._chaining_key = PROTOCOL_NAME

    def mix_hash(self, data: bytes) -> None:
        """Add to what was said."""
        digest = Hash(SHA256())
        digest.update(self.hash + data)
        self.hash = digest.finalize()

    def mix_key(self, input_key: bytes) -> None:
        """Stir a shared secret in: what is sealed from now on needs it too."""
        self._chaining_key, key = self._derive(input_key)
        self._cipher = CipherState(key)

    def encrypt_and_hash(self, plaintext: bytes) -> bytes:
        """Seal a field, bound to all that was said before it."""
        ciphertext = self._cipher.encrypt_with_ad(self.hash, plaintext)
        self.mix_hash(ciphertext)
        return ciphertext

    def decrypt_and_hash(self, ciphertext: bytes) -> bytes:
        """Open a field. Raises `RemoteProtocolError`."""
        plaintext = self._cipher.decrypt_with_ad(self.hash, ciphertext)
        self.mix_hash(ciphertext)
        return plaintext

    def split(self) -> tuple[bytes, bytes]:
        """The keys from the initiator to the responder, and back."""
        return self._derive(b"")

    def _derive(self, input_key: bytes) -> tuple[bytes, bytes]:
        # The HKDF of section 4.3 is that of RFC 5869 with the chaining key for salt and no info.
        output = HKDF(SHA256(), 2 * KEY_BYTES, salt=self._chaining_key, info=b"").derive(input_key)
        return output[:KEY_BYTES], output[KEY_BYTES:]


class HandshakeState:
    """One end of a handshake: the initiator if it is given the other's static key (section 5.3).

    The initiator writes, then reads; the responder reads, then writes. Keys are 32 raw bytes.
    """

    def __init__(self, prologue: bytes, static: bytes, remote_static: bytes | None = None) -> None:
        self._own = {S: X25519PrivateKey.from_private_bytes(static)}
        self._remote = {} if remote_static is None else {S: remote_static}
        self._is_initiator = remote_static is not None
        self._messages = 0
        self._symmetric = SymmetricState()
        self._symmetric.mix_hash(prologue)
        self._symmetric.mix_hash(self._public(S) if remote_static is None else remote_static)

    @property
    def handshake_hash(self) -> bytes:
        """A name for this handshake that both ends know and no other handshake has."""
        return self._symmetric.hash

    def remote_key(self, key: Key) -> bytes:
        """The other end's public key, once it is known."""
        return self._remote[key]

    def write_message(self, ephemeral: bytes, payload: bytes) -> bytes:
        """Say the next message; `ephemeral` is a private key that is used for nothing else.

        Raises `RemoteProtocolError` when the other end's static key is no key.
        """
        tokens = self._next_tokens(writing=True)
        self._own[E] = X25519PrivateKey.from_private_bytes(ephemeral)
        message = b""
        for token in tokens:
            match token:
                case Key.EPHEMERAL:
                    message += self._public(E)
                    self._symmetric.mix_hash(message)
                case Key.STATIC:
                    message += self._symmetric.encrypt_and_hash(self._public(S))
                case _:
                    self._mix_secret(token)
        return message + self._symmetric.encrypt_and_hash(payload)

    def read_message(self, message: bytes) -> bytes:
        """Hear the next message and return its payload.

        Raises `RemoteProtocolError` for whatever is not that message; the handshake is over then.
        """
        body = Body(message)
        for token in self._next_tokens(writing=False):
            match token:
                case Key.EPHEMERAL:
                    self._remote[E] = body.take(KEY_BYTES)
                    self._symmetric.mix_hash(self._remote[E])
                case Key.STATIC:
                    sealed = body.take(KEY_BYTES + TAG_BYTES)
                    self._remote[S] = self._symmetric.decrypt_and_hash(sealed)
                case _:
                    self._mix_secret(token)
        return self._symmetric.decrypt_and_hash(body.rest())

    def split(self) -> tuple[bytes, bytes]:
        """After both messages: the keys from the initiator to the responder, and back."""
        return self._symmetric.split()

    def _next_tokens(self, *, writing: bool) -> tuple[Token, ...]:
        is_first = self._messages == 0
        if self._messages == len(PATTERN) or writing != (is_first == self._is_initiator):
            raise LocalProtocolError("not the turn of this message")
        self._messages += 1
        return PATTERN[self._messages - 1]

    def _public(self, key: Key) -> bytes:
        return self._own[key].public_key().public_bytes_raw()

    def _mix_secret(self, pair: tuple[Key, Key]) -> None:
        own, remote = pair if self._is_initiator else pair[::-1]
        try:
            public = X25519PublicKey.from_public_bytes(self._remote[remote])
            secret = self._own[own].exchange(public)
        except ValueError:
            # A point of low order makes a secret of zeros that everybody knows (RFC 7748 6.1).
            raise RemoteProtocolError("a public key that is none") from None
        self._symmetric.mix_key(secret)
