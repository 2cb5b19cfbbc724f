"""Who proves nothing finds an ordinary web site: the same answer, byte for byte, to everything."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.unit.frontends.http.dialogue import RawClient
from underpass.address import ListenAddress
from underpass.carriers.pieces import encode_data, new_token
from underpass.protocol.attach import make_attach
from underpass.protocol.handshake import ClientHandshake
from underpass.protocol.noise import public_key
from underpass.protocol.opening import Kind, Opening
from underpass.server import endpoint
from underpass.server.invites import InviteTerms, make_invite
from underpass.server_options import ServerLimits, ServerOptions
from underpass.tunnel.greeting import WANTED, ClientIdentity, Greeter, read_answer
from underpass.tunnel_server import TunnelServer


@dataclass
class Siege:
    """A server, and a message that it has answered once."""

    server: TunnelServer
    spent: bytes
    code: bytes

    async def ask(self, method: bytes, path: str, body: bytes) -> bytes:
        """One request on a stream of its own; all that is answered, but for the time."""
        port = self.server.addresses[0].port
        client = RawClient(*await asyncio.open_connection("127.0.0.1", port))
        length = b"Content-Length: %d\r\n" % len(body) if body else b""
        await client.say(
            b"%s %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n%s"
            % (method, path.encode("ascii"), length, body)
        )
        said = await client.rest()
        await client.close()
        return re.sub(rb"Date: [^\r]*", b"Date: now", said)

    def identity(self, server_key: bytes) -> ClientIdentity:
        return ClientIdentity(os.urandom(32), server_key, self.code)

    def messages(self) -> dict[str, bytes]:
        """What somebody may send who was not let in."""
        other = public_key(b"\x22" * 32)
        session = os.urandom(20)
        return {
            "nothing": b"",
            "noise": os.urandom(150),
            "hello of noise": Opening(Kind.HELLO, os.urandom(150)).encode(),
            "longest hello": Opening(Kind.HELLO, os.urandom(4096)).encode(),
            "hello for another server": Greeter(self.identity(other)).hello().message,
            "hello that came before": self.spent,
            "hello with a tail": Greeter(self.identity(self.server.public_key)).hello().message
            + b"x",
            "attach to no session": make_attach(os.urandom(32), session, 1, os.urandom(16), 0),
            "an answer of ours": Opening(Kind.WELCOME, os.urandom(150)).encode(),
        }


@pytest.fixture
async def siege(tmp_path: Path) -> AsyncIterator[Siege]:
    options = ServerOptions(
        listen=(ListenAddress("127.0.0.1", 0),),
        state=tmp_path,
        limits=ServerLimits(drain_timeout=0),
    )
    async with TunnelServer(options) as server:
        invite = make_invite(tmp_path, "alice", InviteTerms(server.urls[0], 5, 3600))
        identity = ClientIdentity(os.urandom(32), invite.server_key, invite.code)
        handshake: ClientHandshake = Greeter(identity, WANTED).hello()
        one = Siege(server, handshake.message, invite.code)
        answer = await one.ask(b"PUT", f"/{new_token()}", handshake.message)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert read_answer(body).kind is Kind.WELCOME
        yield one


async def test_every_opening_that_proves_nothing_gets_the_answer_of_any_body(siege: Siege) -> None:
    for method, path in ((b"PUT", "/{}"), (b"POST", "/{}/open"), (b"POST", "/{}/0")):
        usual = await siege.ask(method, path.format(new_token()), b"name=value")
        assert usual.startswith(b"HTTP/1.1 404 ")
        for name, message in siege.messages().items():
            answer = await siege.ask(method, path.format(new_token()), message)
            assert answer == usual, name
    assert siege.server.session_count == 1


async def test_the_same_holds_where_the_message_is_in_the_target(siege: Siege) -> None:
    usual = await siege.ask(b"GET", "/favicon.ico", b"")
    for name, message in siege.messages().items():
        path = f"/{new_token()}/0/{encode_data(message) or '-'}"
        if len(path) < 4096:
            assert await siege.ask(b"GET", path, b"") == usual, name
    assert siege.server.session_count == 1


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"TRACE", b"PROPFIND"])
async def test_a_token_that_is_nobodys_is_a_page_that_is_not_there(
    siege: Siege, method: bytes
) -> None:
    usual = await siege.ask(method, "/a-page-of-any-name", b"")
    for path in ("/{}", "/{}/0", "/{}/down", "/{}/0/-"):
        assert await siege.ask(method, path.format(new_token()), b"") == usual


async def test_many_strangers_leave_nothing_behind(siege: Siege) -> None:
    for _ in range(100):
        message = Opening(Kind.HELLO, os.urandom(150)).encode()
        await siege.ask(b"PUT", f"/{new_token()}", message)
    assert siege.server.session_count == 1
    # The carrier of the one who was let in.
    assert len(siege.server._table) == 1


async def test_no_answer_is_quicker_because_less_was_looked_at(
    siege: Siege, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "QUIET_SECONDS", 0.03)
    clock = asyncio.get_running_loop().time
    path = f"/{new_token()}"
    for method, where, body in (
        (b"GET", "/", b""),
        (b"PUT", path, b"name=value"),
        (b"PUT", path, Opening(Kind.HELLO, os.urandom(150)).encode()),
        (b"PUT", path, siege.spent),
    ):
        asked = clock()
        await siege.ask(method, where, body)
        # A tick less, as loops count milliseconds.
        assert clock() - asked >= 0.029
