"""Writes protocol.json anew from fixed keys: ``python -m tests.vectors.make``.

The bytes of a version of the protocol never change: when they do, that is another version.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from underpass.protocol.attach import make_attach, make_attached, make_unknown
from underpass.protocol.handshake import ClientHandshake, ServerHandshake, SessionKeys
from underpass.protocol.hello import (
    VERSION,
    Capability,
    ClientHello,
    Limits,
    Refusal,
    ServerHello,
    Status,
)
from underpass.protocol.noise import public_key
from underpass.protocol.opening import Opening, OpeningReader

PLACE = Path(__file__).with_name("protocol.json")

Vector = dict[str, Any]

CLIENT_STATIC = b"\x11" * 32
CLIENT_EPHEMERAL = b"\x22" * 32
SERVER_STATIC = b"\x33" * 32
SERVER_EPHEMERAL = b"\x44" * 32
NONCE = bytes(range(16))

SESSION_ID = b"a1" + b"\x55" * 16
FORMER_ID = b"a1" + b"\x66" * 16

HELLO = ClientHello(
    timestamp=1_750_000_000_123,
    limits=Limits(initial_window=32_768, streams=1_024, grace=600, keepalive=30_000),
    capabilities=Capability.DATAGRAMS,
    code=b"invite code",
    former=FORMER_ID,
)
WELCOME = ServerHello(
    session_id=SESSION_ID,
    limits=Limits(initial_window=65_536, streams=256, grace=300, keepalive=25_000),
    capabilities=Capability.DATAGRAMS,
    has_former=True,
)
REFUSAL = Refusal(Status.CLOCK, time=1_750_000_900_000, reason="the clock is 15 minutes off – slow")


def opened(message: bytes) -> Opening:
    """The one opening message that `message` is."""
    found = OpeningReader().receive_data(message)
    assert found is not None
    opening, rest = found
    assert not rest
    return opening


def greeted() -> tuple[ClientHandshake, ServerHandshake]:
    """Two ends of which the server has read the client's hello."""
    client = ClientHandshake(CLIENT_STATIC, public_key(SERVER_STATIC), HELLO, CLIENT_EPHEMERAL)
    server = ServerHandshake(SERVER_STATIC)
    server.receive(opened(client.message).body)
    return client, server


def welcomed() -> tuple[bytes, SessionKeys]:
    """What a server answers, and its keys of the session."""
    return greeted()[1].welcome(WELCOME, SERVER_EPHEMERAL)


def opening() -> list[Vector]:
    """A vector of each opening message."""
    client, server = greeted()
    welcome, keys = welcomed()
    refusal = server.refuse(REFUSAL.status, REFUSAL.time, REFUSAL.reason, SERVER_EPHEMERAL)
    return [
        {
            "name": "hello",
            "client_static": CLIENT_STATIC.hex(),
            "client_ephemeral": CLIENT_EPHEMERAL.hex(),
            "server_static": SERVER_STATIC.hex(),
            "fields": {
                "version": VERSION,
                "capabilities": HELLO.capabilities.value,
                "timestamp": HELLO.timestamp,
                "limits": _limits(HELLO.limits),
                "code": HELLO.code.hex(),
                "former": HELLO.former.hex(),
            },
            "payload": HELLO.encode().hex(),
            "message": client.message.hex(),
        },
        {
            "name": "welcome",
            "answers": "hello",
            "server_ephemeral": SERVER_EPHEMERAL.hex(),
            "fields": {
                "version": VERSION,
                "status": 0,
                "capabilities": WELCOME.capabilities.value,
                "session_id": WELCOME.session_id.hex(),
                "limits": _limits(WELCOME.limits),
                "former": int(WELCOME.has_former),
            },
            "payload": WELCOME.encode().hex(),
            "message": welcome.hex(),
            "client_to_server_key": keys.receive.hex(),
            "server_to_client_key": keys.send.hex(),
            "attach_key": keys.attach.hex(),
        },
        {
            "name": "refusal",
            "answers": "hello",
            "server_ephemeral": SERVER_EPHEMERAL.hex(),
            "fields": {
                "version": VERSION,
                "status": REFUSAL.status.value,
                "time": REFUSAL.time,
                "reason": REFUSAL.reason,
            },
            "payload": REFUSAL.encode().hex(),
            "message": refusal.hex(),
        },
        *_attaching(keys.attach),
    ]


def _limits(limits: Limits) -> Vector:
    return {
        "initial_window": limits.initial_window,
        "streams": limits.streams,
        "grace": limits.grace,
        "keepalive": limits.keepalive,
    }


def _attaching(key: bytes) -> list[Vector]:
    number, client_next, server_next = 3, 1_000_000, 0x0102030405060708
    return [
        {
            "name": "attach",
            "attach_key": key.hex(),
            "fields": {
                "session_id": SESSION_ID.hex(),
                "number": number,
                "nonce": NONCE.hex(),
                "next": client_next,
            },
            "message": make_attach(key, SESSION_ID, number, NONCE, client_next).hex(),
        },
        {
            "name": "attached",
            "answers": "attach",
            "attach_key": key.hex(),
            "fields": {"number": number, "next": server_next},
            "message": make_attached(key, number, server_next, NONCE).hex(),
        },
        {
            "name": "unknown",
            "fields": {"session_id": SESSION_ID.hex()},
            "message": make_unknown(SESSION_ID).hex(),
        },
    ]


def document() -> str:
    """The whole text of protocol.json."""
    vectors: dict[str, list[Vector]] = {"opening": opening(), "frames": [], "records": []}
    return json.dumps(vectors, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PLACE.write_text(document(), encoding="utf-8")
