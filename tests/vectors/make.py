"""Writes protocol.json anew from fixed keys: ``python -m tests.vectors.make``.

The bytes of a version of the protocol never change: when they do, that is another version.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from underpass.errors import Failure
from underpass.protocol.attach import make_attach, make_attached, make_unknown
from underpass.protocol.frame_codec import (
    encode_ack,
    encode_close,
    encode_data,
    encode_datagram,
    encode_fin,
    encode_goaway,
    encode_open,
    encode_opened,
    encode_ping,
    encode_pong,
    encode_refused,
    encode_reset,
    encode_skip,
    encode_window,
)
from underpass.protocol.frames import (
    REFUSAL_CODES,
    Ack,
    Close,
    CloseCode,
    Data,
    Datagram,
    Fin,
    Frame,
    GoAway,
    Kind,
    Open,
    Opened,
    Ping,
    Pong,
    Refused,
    Reset,
    ResetCode,
    Skip,
    Window,
)
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
from underpass.protocol.noise import public_key, rekey
from underpass.protocol.opening import Opening, OpeningReader
from underpass.protocol.record import EPOCH_RECORDS, Sealer

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


# A frame of each type, with what its fields stand for.
FRAMES: list[Frame] = [
    Open(1, Kind.BYTES, "example.com", 443),
    Open(2, Kind.DATAGRAMS, "2001:db8::1", 53),
    Opened(1, "192.0.2.1:40000"),
    Opened(2, ""),
    Refused(3, Failure.CONNECTION_REFUSED, "nobody listens – there"),
    Data(1, 0, b"GET / HTTP/1.1\r\n\r\n"),
    Data(0xFFFFFFFF, 0x0102030405060708, b"\x00"),
    Fin(1, 18),
    Reset(1, ResetCode.TIMEOUT),
    Window(1, 262_144),
    Ack(250, 17, ()),
    Ack(0, 17, ((18, 18), (20, 25))),
    Skip(17, 19),
    Datagram(2, b"datagram"),
    Datagram(2, b""),
    Ping(1, 30_000),
    Pong(1),
    GoAway(5, CloseCode.SHUTDOWN, "restarts"),
    Close(CloseCode.DONE, ""),
]


def frames() -> Iterator[tuple[Frame, Vector]]:
    """Each frame with its fields and bytes; bytes are in hex, codes are numbers."""
    for frame in FRAMES:
        yield frame, {"fields": _fields(frame), "bytes": encode(frame).hex()}


def _fields(frame: Frame) -> Vector:
    fields = dict(frame._asdict())
    for name, value in fields.items():
        if isinstance(value, Failure):
            fields[name] = REFUSAL_CODES[value]
        elif isinstance(value, bytes):
            fields[name] = value.hex()
        elif isinstance(value, tuple):
            fields[name] = [list(one) for one in value]
        elif isinstance(value, int):
            fields[name] = int(value)
    return fields


def encode(frame: Frame) -> bytes:
    """The bytes of any frame."""
    return encode_ack(frame) if isinstance(frame, Ack) else _ENCODERS[type(frame)](*frame)


_ENCODERS: dict[type[Frame], Callable[..., bytes]] = {
    Open: encode_open,
    Opened: encode_opened,
    Refused: encode_refused,
    Data: encode_data,
    Fin: encode_fin,
    Reset: encode_reset,
    Window: encode_window,
    Skip: encode_skip,
    Datagram: encode_datagram,
    Ping: encode_ping,
    Pong: encode_pong,
    GoAway: encode_goaway,
    Close: encode_close,
}

RECORD_KEY = b"\x77" * 32
# The first number, one within an epoch, the last of an epoch, and the first of the next.
RECORD_SEQS = (0, 0x0102, EPOCH_RECORDS - 1, EPOCH_RECORDS)


def records() -> list[Vector]:
    """Records of one direction, with the key of their epoch."""
    sealer, content, found = Sealer(RECORD_KEY), encode(FRAMES[0]) + encode(FRAMES[5]), []
    for seq in RECORD_SEQS:
        sealer.next_seq = seq
        key = RECORD_KEY if seq < EPOCH_RECORDS else rekey(RECORD_KEY)
        found.append(
            {
                "key": RECORD_KEY.hex(),
                "epoch_key": key.hex(),
                "seq": seq,
                "frames": content.hex(),
                "record": bytes(sealer.seal(content)).hex(),
            }
        )
    return found


def document() -> str:
    """The whole text of protocol.json."""
    vectors: dict[str, list[Vector]] = {
        "opening": opening(),
        "frames": [{"name": type(one).__name__.lower(), **vector} for one, vector in frames()],
        "records": records(),
    }
    return json.dumps(vectors, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PLACE.write_text(document(), encoding="utf-8")
