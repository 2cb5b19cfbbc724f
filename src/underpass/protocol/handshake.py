"""How a session begins: two Noise messages, after which both ends hold its keys.

docs/protocol.md section 3. A client makes a `ClientHandshake`, sends `message` and gives the body
of the answer to `receive`. A server makes a `ServerHandshake`, gives the body of the hello to
`receive`, decides, and sends what `welcome` or `refuse` returns. Keys are 32 raw bytes; each
`ephemeral` is a fresh random private key, used for this handshake alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from underpass.errors import RemoteProtocolError
from underpass.protocol.hello import (
    VERSION,
    ClientHello,
    Limits,
    OtherHello,
    Refusal,
    ServerHello,
    Status,
    parse_client_hello,
    parse_server_hello,
)
from underpass.protocol.noise import KEY_BYTES, HandshakeState, Key
from underpass.protocol.opening import Kind, Opening

PROLOGUE = b"underpass" + bytes((VERSION,))

_ATTACH_INFO = b"underpass attach 1"


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """What one end of a session seals with, opens with, and proves itself with in an attach."""

    send: bytes = field(repr=False)
    receive: bytes = field(repr=False)
    attach: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Welcome:
    """A server took the client in."""

    hello: ServerHello
    keys: SessionKeys


@dataclass(frozen=True, slots=True)
class ReceivedHello:
    """A hello that was made for this server, by the holder of `client_key`'s private half.

    It may still be a replay, which `ReplayGuard` tells by `ephemeral`.
    """

    client_key: bytes
    ephemeral: bytes
    hello: ClientHello | OtherHello


class ClientHandshake:
    """The client's end. `message` is the whole opening message to send."""

    def __init__(
        self, static_key: bytes, server_key: bytes, hello: ClientHello, ephemeral: bytes
    ) -> None:
        self._wanted = hello.limits
        self._noise = HandshakeState(PROLOGUE, static_key, server_key)
        sealed = self._noise.write_message(ephemeral, hello.encode())
        self.message = Opening(Kind.HELLO, sealed).encode()

    def receive(self, body: bytes) -> Welcome | Refusal:
        """Read the body of a WELCOME.

        Raises `RemoteProtocolError` for anything but the answer of this very server to `message`.
        """
        answer = parse_server_hello(self._noise.read_message(body))
        if isinstance(answer, Refusal):
            return answer
        _check_terms(self._wanted, answer.limits)
        to_server, to_client = self._noise.split()
        return Welcome(answer, SessionKeys(to_server, to_client, _attach_key(self._noise)))


class ServerHandshake:
    """The server's end, for one carrier."""

    def __init__(self, static_key: bytes) -> None:
        self._noise = HandshakeState(PROLOGUE, static_key)

    def receive(self, body: bytes) -> ReceivedHello:
        """Read the body of a HELLO.

        Raises `RemoteProtocolError` for what was not made for this server, or is malformed: there
        is no answer to that.
        """
        payload = self._noise.read_message(body)
        return ReceivedHello(
            client_key=self._noise.remote_key(Key.STATIC),
            ephemeral=self._noise.remote_key(Key.EPHEMERAL),
            hello=parse_client_hello(payload),
        )

    def welcome(self, hello: ServerHello, ephemeral: bytes) -> tuple[bytes, SessionKeys]:
        """Take the client in: the opening message to send, and the keys of the session."""
        message = self._answer(hello, ephemeral)
        to_server, to_client = self._noise.split()
        return message, SessionKeys(to_client, to_server, _attach_key(self._noise))

    def refuse(self, status: Status, time: int, reason: str, ephemeral: bytes) -> bytes:
        """Turn the client away: the opening message to send; `time` in milliseconds since 1970."""
        return self._answer(Refusal(status, time, reason), ephemeral)

    def _answer(self, hello: ServerHello | Refusal, ephemeral: bytes) -> bytes:
        sealed = self._noise.write_message(ephemeral, hello.encode())
        return Opening(Kind.WELCOME, sealed).encode()


def _check_terms(wanted: Limits, held: Limits) -> None:
    if held.grace > wanted.grace or held.keepalive > wanted.keepalive:
        raise RemoteProtocolError("a server hello that goes beyond what the client wanted")


def _attach_key(noise: HandshakeState) -> bytes:
    secret = b"".join(noise.split())
    return HKDF(SHA256(), KEY_BYTES, salt=noise.handshake_hash, info=_ATTACH_INFO).derive(secret)
