"""Noise IK against published vectors, and against everything that is not quite one of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from underpass.errors import LocalProtocolError, RemoteProtocolError
from underpass.protocol.noise import CipherState, HandshakeState, Key, public_key, rekey

VECTORS = Path(__file__).parents[2] / "vectors" / "noise_ik.json"

Vector = dict[str, Any]

# Points of order 1, 2, 4 and 8 on the curve and its twist, and spellings of them (RFC 7748 6.1).
LOW_ORDER = [
    bytes(32),
    (1).to_bytes(32, "little"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    (2**255 - 20).to_bytes(32, "little"),
    (2**255 - 19).to_bytes(32, "little"),
    (2**255 - 18).to_bytes(32, "little"),
]

STATIC = b"\x11" * 32
EPHEMERAL = b"\x22" * 32
SERVER = b"\x33" * 32
SERVER_EPHEMERAL = b"\x44" * 32


def published() -> list[Vector]:
    vectors = json.loads(VECTORS.read_text(encoding="utf-8"))["vectors"]
    return [v for v in vectors if v["protocol_name"] == "Noise_IK_25519_AESGCM_SHA256"]


def raw(vector: Vector, name: str) -> bytes:
    return bytes.fromhex(vector[name])


def two_ends(vector: Vector) -> tuple[HandshakeState, HandshakeState]:
    remote = raw(vector, "init_remote_static")
    return (
        HandshakeState(raw(vector, "init_prologue"), raw(vector, "init_static"), remote),
        HandshakeState(raw(vector, "resp_prologue"), raw(vector, "resp_static")),
    )


def our_ends(prologue: bytes = b"p") -> tuple[HandshakeState, HandshakeState]:
    return HandshakeState(b"p", STATIC, public_key(SERVER)), HandshakeState(prologue, SERVER)


every_vector = pytest.mark.parametrize("vector", published(), ids=lambda v: v["source"])


def test_there_are_vectors() -> None:
    assert len(published()) == 2


@every_vector
def test_a_published_handshake_is_spoken_and_understood(vector: Vector) -> None:
    initiator, responder = two_ends(vector)
    first, second, *transport = vector["messages"]
    message = initiator.write_message(raw(vector, "init_ephemeral"), raw(first, "payload"))
    assert message == raw(first, "ciphertext")
    assert responder.read_message(message) == raw(first, "payload")
    assert responder.remote_key(Key.STATIC) == public_key(raw(vector, "init_static"))
    assert responder.remote_key(Key.EPHEMERAL) == public_key(raw(vector, "init_ephemeral"))
    message = responder.write_message(raw(vector, "resp_ephemeral"), raw(second, "payload"))
    assert message == raw(second, "ciphertext")
    assert initiator.read_message(message) == raw(second, "payload")
    assert initiator.handshake_hash == responder.handshake_hash
    assert initiator.split() == responder.split()
    seals = [CipherState(key) for key in initiator.split()]
    opens = [CipherState(key) for key in initiator.split()]
    for number, one in enumerate(transport):
        sealed = seals[number % 2].encrypt_with_ad(b"", raw(one, "payload"))
        assert sealed == raw(one, "ciphertext")
        assert opens[number % 2].decrypt_with_ad(b"", sealed) == raw(one, "payload")


def test_the_published_handshake_hash_is_ours() -> None:
    (vector,) = (v for v in published() if "handshake_hash" in v)
    _, responder = two_ends(vector)
    responder.read_message(raw(vector["messages"][0], "ciphertext"))
    responder.write_message(raw(vector, "resp_ephemeral"), raw(vector["messages"][1], "payload"))
    assert responder.handshake_hash == raw(vector, "handshake_hash")


@every_vector
def test_a_first_message_with_any_byte_changed_is_refused(vector: Vector) -> None:
    message = bytearray(raw(vector["messages"][0], "ciphertext"))
    for place in range(len(message)):
        for bit in (0x01, 0x80):
            message[place] ^= bit
            _, responder = two_ends(vector)
            with pytest.raises(RemoteProtocolError):
                responder.read_message(bytes(message))
            message[place] ^= bit


@every_vector
def test_a_second_message_with_any_byte_changed_is_refused(vector: Vector) -> None:
    first, second = vector["messages"][:2]
    message = bytearray(raw(second, "ciphertext"))
    for place in range(len(message)):
        for bit in (0x01, 0x80):
            message[place] ^= bit
            initiator, _ = two_ends(vector)
            initiator.write_message(raw(vector, "init_ephemeral"), raw(first, "payload"))
            with pytest.raises(RemoteProtocolError):
                initiator.read_message(bytes(message))
            message[place] ^= bit


@every_vector
def test_a_message_cut_or_drawn_out_is_refused(vector: Vector) -> None:
    message = raw(vector["messages"][0], "ciphertext")
    for size in range(len(message)):
        _, responder = two_ends(vector)
        with pytest.raises(RemoteProtocolError):
            responder.read_message(message[:size])
    _, responder = two_ends(vector)
    with pytest.raises(RemoteProtocolError):
        responder.read_message(message + b"\0")


def test_another_prologue_is_refused() -> None:
    initiator, responder = our_ends(prologue=b"q")
    with pytest.raises(RemoteProtocolError):
        responder.read_message(initiator.write_message(EPHEMERAL, b""))


def test_a_message_for_another_server_is_refused() -> None:
    initiator, _ = our_ends()
    stranger = HandshakeState(b"p", b"\x34" * 32)
    with pytest.raises(RemoteProtocolError):
        stranger.read_message(initiator.write_message(EPHEMERAL, b""))


def test_an_answer_of_another_server_is_refused() -> None:
    """Of one that was even told the client's keys, but not the server's."""
    initiator, responder = our_ends()
    responder.read_message(initiator.write_message(EPHEMERAL, b""))
    asked = HandshakeState(b"p", STATIC, public_key(b"\x34" * 32))
    other = HandshakeState(b"p", b"\x34" * 32)
    other.read_message(asked.write_message(EPHEMERAL, b""))
    with pytest.raises(RemoteProtocolError):
        initiator.read_message(other.write_message(SERVER_EPHEMERAL, b""))


@pytest.mark.parametrize("point", LOW_ORDER, ids=bytes.hex)
def test_an_ephemeral_key_of_low_order_is_refused(point: bytes) -> None:
    _, responder = our_ends()
    with pytest.raises(RemoteProtocolError, match="public key that is none"):
        responder.read_message(point + bytes(64))


@pytest.mark.parametrize("point", LOW_ORDER, ids=bytes.hex)
def test_an_answer_with_a_key_of_low_order_is_refused(point: bytes) -> None:
    initiator, _ = our_ends()
    initiator.write_message(EPHEMERAL, b"")
    with pytest.raises(RemoteProtocolError, match="public key that is none"):
        initiator.read_message(point + bytes(16))


@pytest.mark.parametrize("point", [*LOW_ORDER, b"short", b""], ids=bytes.hex)
def test_a_server_key_that_is_none_is_refused(point: bytes) -> None:
    initiator = HandshakeState(b"p", STATIC, point)
    with pytest.raises(RemoteProtocolError, match="public key that is none"):
        initiator.write_message(EPHEMERAL, b"")


def test_each_message_has_its_turn() -> None:
    initiator, responder = our_ends()
    with pytest.raises(LocalProtocolError, match="turn"):
        responder.write_message(SERVER_EPHEMERAL, b"")
    with pytest.raises(LocalProtocolError, match="turn"):
        initiator.read_message(b"")
    responder.read_message(initiator.write_message(EPHEMERAL, b""))
    with pytest.raises(LocalProtocolError, match="turn"):
        initiator.write_message(EPHEMERAL, b"")
    with pytest.raises(LocalProtocolError, match="turn"):
        responder.read_message(b"")
    initiator.read_message(responder.write_message(SERVER_EPHEMERAL, b""))
    for end in (initiator, responder):
        with pytest.raises(LocalProtocolError, match="turn"):
            end.write_message(EPHEMERAL, b"")
        with pytest.raises(LocalProtocolError, match="turn"):
            end.read_message(b"")


def test_a_handshake_that_failed_is_over() -> None:
    initiator, responder = our_ends()
    message = initiator.write_message(EPHEMERAL, b"")
    with pytest.raises(RemoteProtocolError):
        responder.read_message(message[:-1])
    with pytest.raises(LocalProtocolError, match="turn"):
        responder.read_message(message)


@given(st.binary(max_size=200))
def test_bytes_raise_nothing_else(data: bytes) -> None:
    initiator, responder = our_ends()
    initiator.write_message(EPHEMERAL, b"")
    for end in (initiator, responder):
        with pytest.raises(RemoteProtocolError):
            end.read_message(data)


def test_the_next_key_is_what_zeros_become_under_the_last_nonce() -> None:
    key = bytes(range(32))
    cipher = Cipher(algorithms.AES(key), modes.GCM(bytes(4) + b"\xff" * 8)).encryptor()
    assert rekey(key) == cipher.update(bytes(32))


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17])
def test_a_message_that_is_no_ciphertext_does_not_open(size: int) -> None:
    with pytest.raises(RemoteProtocolError, match="does not open"):
        CipherState(bytes(32)).decrypt_with_ad(b"", bytes(size))
