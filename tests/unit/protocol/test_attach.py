"""Attaching a carrier: bodies both ways, and a mac that nothing but the session's key makes."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vectors.make import NONCE, SESSION_ID, opened
from underpass.errors import LocalProtocolError, RemoteProtocolError
from underpass.protocol import attach
from underpass.protocol.attach import (
    Attach,
    Attached,
    make_attach,
    make_attached,
    make_unknown,
    parse_attach,
    parse_attached,
    parse_unknown,
    verify_attach,
    verify_attached,
)
from underpass.protocol.opening import Kind

KEY = b"\x77" * 32
OTHER_KEY = b"\x77" * 31 + b"\x76"

# Session id, number and next, with the bytes before the mac.
ATTACHES = [
    (b"s", 0, 0, b"\x01s" + bytes(4) + NONCE + bytes(8)),
    (b"s" * 32, 2**32 - 1, 2**64 - 1, b"\x20" + b"s" * 32 + b"\xff" * 4 + NONCE + b"\xff" * 8),
    (SESSION_ID, 1, 2, b"\x12" + SESSION_ID + b"\0\0\0\x01" + NONCE + b"\0\0\0\0\0\0\0\x02"),
]
ATTACHEDS = [
    (0, 0, bytes(12)),
    (2**32 - 1, 2**64 - 1, b"\xff" * 12),
    (1, 2, b"\0\0\0\x01\0\0\0\0\0\0\0\x02"),
]


def mac(data: bytes) -> bytes:
    return hmac.new(KEY, data, hashlib.sha256).digest()


@pytest.mark.parametrize(("session_id", "number", "next_seq", "fields"), ATTACHES)
def test_an_attach_is_made_read_and_verified(
    session_id: bytes, number: int, next_seq: int, fields: bytes
) -> None:
    opening = opened(make_attach(KEY, session_id, number, NONCE, next_seq))
    proof = mac(b"underpass attach" + fields)
    assert opening.kind is Kind.ATTACH
    assert opening.body == fields + proof
    attach = parse_attach(opening.body)
    assert attach == Attach(session_id, number, NONCE, next_seq, proof)
    assert verify_attach(KEY, attach)
    assert not verify_attach(OTHER_KEY, attach)


@pytest.mark.parametrize(("number", "next_seq", "fields"), ATTACHEDS)
def test_an_attached_is_made_read_and_verified(number: int, next_seq: int, fields: bytes) -> None:
    opening = opened(make_attached(KEY, number, next_seq, NONCE))
    proof = mac(b"underpass attached" + fields + NONCE)
    assert opening.kind is Kind.ATTACHED
    assert opening.body == fields + proof
    attached = parse_attached(opening.body)
    assert attached == Attached(number, next_seq, proof)
    assert verify_attached(KEY, attached, NONCE)
    assert not verify_attached(OTHER_KEY, attached, NONCE)
    assert not verify_attached(KEY, attached, NONCE[::-1])


@pytest.mark.parametrize("session_id", [b"s", b"s" * 32, SESSION_ID])
def test_an_unknown_is_made_and_read(session_id: bytes) -> None:
    opening = opened(make_unknown(session_id))
    assert opening.kind is Kind.UNKNOWN
    assert opening.body == bytes((len(session_id),)) + session_id
    assert parse_unknown(opening.body) == session_id


def test_a_body_cut_anywhere_or_drawn_out_is_refused() -> None:
    for parse, message in [
        (parse_attach, make_attach(KEY, SESSION_ID, 1, NONCE, 0)),
        (parse_attached, make_attached(KEY, 1, 0, NONCE)),
        (parse_unknown, make_unknown(SESSION_ID)),
    ]:
        body = opened(message).body
        for wrong in [body[:size] for size in range(len(body))] + [body + b"\0", body + body]:
            with pytest.raises(RemoteProtocolError):
                parse(wrong)


@pytest.mark.parametrize("size", [0, 33, 255])
def test_a_session_id_of_another_size_is_neither_made_nor_believed(size: int) -> None:
    with pytest.raises(LocalProtocolError, match="session id"):
        make_attach(KEY, bytes(size), 1, NONCE, 0)
    with pytest.raises(LocalProtocolError, match="session id"):
        make_unknown(bytes(size))
    length = bytes((size,))
    with pytest.raises(RemoteProtocolError, match="session id"):
        parse_attach(length + bytes(size + 4 + 16 + 8 + 32))
    with pytest.raises(RemoteProtocolError, match="session id"):
        parse_unknown(length + bytes(size))


def test_an_attach_with_any_byte_changed_is_not_verified() -> None:
    body = bytearray(opened(make_attach(KEY, SESSION_ID, 1, NONCE, 2)).body)
    for place in range(len(body)):
        for bit in (0x01, 0x80):
            body[place] ^= bit
            with contextlib.suppress(RemoteProtocolError):
                assert not verify_attach(KEY, parse_attach(bytes(body)))
            body[place] ^= bit
    assert verify_attach(KEY, parse_attach(bytes(body)))


def test_an_attached_with_any_byte_changed_is_not_verified() -> None:
    body = bytearray(opened(make_attached(KEY, 1, 2, NONCE)).body)
    for place in range(len(body)):
        for bit in (0x01, 0x80):
            body[place] ^= bit
            assert not verify_attached(KEY, parse_attached(bytes(body)), NONCE)
            body[place] ^= bit
    assert verify_attached(KEY, parse_attached(bytes(body)), NONCE)


def test_the_mac_of_one_message_does_not_prove_the_other() -> None:
    attach = parse_attach(opened(make_attach(KEY, SESSION_ID, 1, NONCE, 2)).body)
    attached = parse_attached(opened(make_attached(KEY, 1, 2, NONCE)).body)
    assert not verify_attach(KEY, dataclasses.replace(attach, mac=attached.mac))
    assert not verify_attached(KEY, dataclasses.replace(attached, mac=attach.mac), NONCE)


@pytest.mark.parametrize("proof", [b"", b"\0" * 31, b"\0" * 33])
def test_a_mac_of_another_size_proves_nothing(proof: bytes) -> None:
    assert not verify_attach(KEY, Attach(SESSION_ID, 1, NONCE, 2, proof))
    assert not verify_attached(KEY, Attached(1, 2, proof), NONCE)


def test_no_mac_is_in_a_repr() -> None:
    assert "mac" not in repr(Attach(SESSION_ID, 1, NONCE, 2, b"m" * 32))
    assert "mac" not in repr(Attached(1, 2, b"m" * 32))


@given(
    st.binary(min_size=1, max_size=32),
    st.integers(0, 2**32 - 1),
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**64 - 1),
)
def test_every_attach_and_its_answer_come_back(
    session_id: bytes, number: int, nonce: bytes, next_seq: int
) -> None:
    attach = parse_attach(opened(make_attach(KEY, session_id, number, nonce, next_seq)).body)
    assert attach == Attach(session_id, number, nonce, next_seq, attach.mac)
    assert verify_attach(KEY, attach)
    attached = parse_attached(opened(make_attached(KEY, number, next_seq, nonce)).body)
    assert attached == Attached(number, next_seq, attached.mac)
    assert verify_attached(KEY, attached, nonce)


@given(st.binary(max_size=120))
def test_bytes_raise_nothing_else_and_prove_nothing(data: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        assert not verify_attach(KEY, parse_attach(data))
    with contextlib.suppress(RemoteProtocolError):
        assert not verify_attached(KEY, parse_attached(data), NONCE)
    with contextlib.suppress(RemoteProtocolError):
        parse_unknown(data)


def test_proofs_are_compared_in_the_same_time_whatever_differs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def noted(mine: bytes, other: bytes) -> bool:
        compared.append((mine, other))
        return False

    monkeypatch.setattr(attach, "bytes_eq", noted)
    asked = parse_attach(opened(make_attach(KEY, SESSION_ID, 1, NONCE, 2)).body)
    answer = parse_attached(opened(make_attached(KEY, 1, 2, NONCE)).body)
    assert not verify_attach(KEY, asked)
    assert not verify_attached(KEY, answer, NONCE)
    assert compared == [(asked.mac, asked.mac), (answer.mac, answer.mac)]
