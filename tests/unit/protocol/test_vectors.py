"""The vectors of our own protocol, both ways: what we say, and what we make of what we hear."""

from __future__ import annotations

import json

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.vectors.make import (
    CLIENT_STATIC,
    FRAMES,
    HELLO,
    PLACE,
    REFUSAL,
    SERVER_STATIC,
    WELCOME,
    Vector,
    document,
    greeted,
    opened,
)
from underpass.protocol.attach import (
    parse_attach,
    parse_attached,
    parse_unknown,
    verify_attach,
    verify_attached,
)
from underpass.protocol.frame_codec import parse_frames
from underpass.protocol.frames import Type
from underpass.protocol.handshake import ServerHandshake, SessionKeys, Welcome
from underpass.protocol.noise import public_key
from underpass.protocol.record import Opener, RecordSplitter

TEXT = PLACE.read_text(encoding="utf-8")
VECTORS: dict[str, list[Vector]] = json.loads(TEXT)
OPENING: dict[str, Vector] = {vector["name"]: vector for vector in VECTORS["opening"]}


def body_of(name: str) -> bytes:
    return opened(bytes.fromhex(OPENING[name]["message"])).body


def key_of(vector: Vector, name: str) -> bytes:
    return bytes.fromhex(vector[name])


def test_making_them_anew_gives_the_same_bytes() -> None:
    assert document() == TEXT, "python -m tests.vectors.make, if the protocol was meant to change"


def test_each_message_has_a_vector() -> None:
    assert list(OPENING) == ["hello", "welcome", "refusal", "attach", "attached", "unknown"]


def test_the_hello_is_understood() -> None:
    received = ServerHandshake(SERVER_STATIC).receive(body_of("hello"))
    assert received.client_key == public_key(CLIENT_STATIC)
    assert received.hello == HELLO


def test_the_welcome_is_understood() -> None:
    vector = OPENING["welcome"]
    keys = SessionKeys(
        send=key_of(vector, "client_to_server_key"),
        receive=key_of(vector, "server_to_client_key"),
        attach=key_of(vector, "attach_key"),
    )
    assert greeted()[0].receive(body_of("welcome")) == Welcome(WELCOME, keys)


def test_the_refusal_is_understood() -> None:
    assert greeted()[0].receive(body_of("refusal")) == REFUSAL


def test_the_attach_and_its_answer_are_understood() -> None:
    key = key_of(OPENING["attach"], "attach_key")
    attach = parse_attach(body_of("attach"))
    fields = OPENING["attach"]["fields"]
    assert (attach.session_id.hex(), attach.number, attach.nonce.hex(), attach.next_seq) == (
        fields["session_id"],
        fields["number"],
        fields["nonce"],
        fields["next"],
    )
    assert verify_attach(key, attach)
    attached = parse_attached(body_of("attached"))
    fields = OPENING["attached"]["fields"]
    assert (attached.number, attached.next_seq) == (fields["number"], fields["next"])
    assert verify_attached(key, attached, attach.nonce)


def test_the_unknown_is_understood() -> None:
    assert parse_unknown(body_of("unknown")).hex() == OPENING["unknown"]["fields"]["session_id"]


def test_each_type_of_frame_has_a_vector() -> None:
    named = {vector["name"] for vector in VECTORS["frames"]}
    assert named == {kind.name.lower() for kind in Type} - {"padding"}


def test_the_frames_are_understood() -> None:
    for vector, frame in zip(VECTORS["frames"], FRAMES, strict=True):
        assert vector["name"] == type(frame).__name__.lower()
        assert parse_frames(bytes.fromhex(vector["bytes"])) == [frame]
        assert tuple(vector["fields"]) == frame._fields


def test_the_records_are_understood() -> None:
    opener = Opener(key_of(VECTORS["records"][0], "key"))
    for vector in VECTORS["records"]:
        ((seq, sealed),) = RecordSplitter().split(bytes.fromhex(vector["record"]))
        assert seq == vector["seq"]
        assert opener.open(seq, sealed).hex() == vector["frames"]
        assert AESGCM(key_of(vector, "epoch_key")).decrypt(
            bytes(4) + seq.to_bytes(8, "big"), bytes(sealed), None
        ) == bytes.fromhex(vector["frames"])
