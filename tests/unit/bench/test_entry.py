"""How the load generator comes in: by SOCKS5, whatever pieces the answers come in, and unasked."""

from __future__ import annotations

import contextlib
import shutil
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from bench.generator import Entry, Load, Origin
from bench.processes import BenchError, StalledError

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")

GREETING = b"\x05\x01\x00"
YES = b"\x05\x00"
DONE_IPV4 = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50"
DONE_NAME = b"\x05\x00\x00\x03\x04here\x00\x50"
DONE_IPV6 = b"\x05\x00\x00\x04" + bytes(16) + b"\x00\x50"


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    origin = Origin()
    yield origin
    origin.close()


def idle(entry: Entry) -> Load:
    return Load("idle", "echo", entry=entry, setup=0.2)


@contextmanager
def entrance(*dialogue: tuple[int, Sequence[bytes]], echoes: bool = True) -> Iterator[list[bytes]]:
    """Serve one stream: for each turn hear so many bytes, then answer in these pieces.

    Gives what was heard; the first item is the address, until somebody came.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    heard: list[bytes] = [f"127.0.0.1:{listener.getsockname()[1]}".encode()]

    def serve() -> None:
        stream, _ = listener.accept()
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The generator ends its streams by a reset.
        with stream, contextlib.suppress(ConnectionResetError):
            for size, pieces in dialogue:
                heard.append(stream.recv(size, socket.MSG_WAITALL))
                for piece in pieces:
                    stream.sendall(piece)
            while echoes and (data := stream.recv(1)):
                stream.sendall(data)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield heard
    finally:
        thread.join(10)
        listener.close()


@pytest.mark.parametrize("done", [DONE_IPV4, DONE_NAME, DONE_IPV6], ids=["IPv4", "name", "IPv6"])
@pytest.mark.parametrize("bytewise", [False, True])
def test_socks5_opens_whatever_the_answer_names(
    origin: Origin, done: bytes, bytewise: bool
) -> None:
    pieces = [bytes([byte]) for byte in done] if bytewise else [done]
    with (
        entrance((3, [YES]), (10, pieces)) as heard,
        origin.held(idle("socks5"), heard[0].decode()) as result,
    ):
        assert result["ready"] == 1
    port = origin.ports["echo"][0].to_bytes(2, "big")
    assert heard[1:] == [GREETING, b"\x05\x01\x00\x01\x7f\x00\x00\x01" + port]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"\x05\xff", "the entry refused"),
        (b"\x04\x00", "the entry refused"),
        (YES + b"x", "bytes after the entry's answer"),
    ],
)
def test_socks5_refused_at_the_greeting_fails(origin: Origin, answer: bytes, reason: str) -> None:
    with (
        entrance((3, [answer]), echoes=False) as heard,
        pytest.raises(BenchError, match=reason),
    ):
        origin.run(idle("socks5"), heard[0].decode())


@pytest.mark.parametrize("answer", [b"\x05\x05" + DONE_IPV4[2:], b"\x05\x00\x00\x02\x00\x00"])
def test_socks5_refused_at_the_address_fails(origin: Origin, answer: bytes) -> None:
    with (
        entrance((3, [YES]), (10, [answer]), echoes=False) as heard,
        pytest.raises(BenchError, match="the entry refused"),
    ):
        origin.run(idle("socks5"), heard[0].decode())


def test_forwarded_port_is_asked_nothing(origin: Origin) -> None:
    with entrance() as heard, origin.held(idle("forward"), heard[0].decode()) as result:
        assert result["ready"] == 1
    assert len(heard) == 1


def test_entry_that_answers_nothing_stalls(origin: Origin) -> None:
    with (
        entrance((3, []), (1, []), echoes=False) as heard,
        pytest.raises(StalledError, match="0 of 1 tunnels opened"),
    ):
        origin.run(idle("socks5"), heard[0].decode())
