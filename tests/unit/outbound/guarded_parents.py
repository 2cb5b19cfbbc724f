"""Upstream proxies that want a login, each by a scheme of its own, bound to the stream or not."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import spnego
import spnego.exceptions

from underpass.protocol.http.digest import Login

CORP = Login("CORP\\carol", "open sesame")
WRONG = Login("CORP\\carol", "wrong")

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
CONNECTED = b"HTTP/1.1 200 Connected\r\n\r\n"
# As proxies that forget who is logged in.
NEVER = 1_000_000


class Guard:
    """What one proxy asks of a request: None lets it pass, else the challenges."""

    def ask(self, head: bytes) -> list[bytes] | None:
        raise NotImplementedError


class TokenGuard(Guard):
    """NTLM or Negotiate, by pyspnego's acceptor: the login is the stream's."""

    def __init__(self, scheme: str, requests: int = NEVER) -> None:
        self._scheme = scheme
        self._context: spnego.ContextProxy | None = None
        self._left = 0
        self._requests = requests

    def ask(self, head: bytes) -> list[bytes] | None:
        token = _login(head, self._scheme.encode())
        if token is None:
            self._left -= 1
            return None if self._left >= 0 else [self._scheme.encode()]
        self._left = 0
        if self._context is None:
            protocol = self._scheme.lower()
            self._context = spnego.server("proxy.example", "http", protocol=protocol)
        try:
            answer = self._context.step(base64.b64decode(token))
        except spnego.exceptions.SpnegoError:
            self._context = None
            return [self._scheme.encode()]
        if self._context.complete:
            self._context = None
            self._left = self._requests
            return self.ask(b"")
        return [self._scheme.encode() + b" " + base64.b64encode(answer or b"")]


class BasicGuard(Guard):
    """Basic, for one login; after `requests` it refuses one request as if it had forgotten."""

    def __init__(self, login: Login, requests: int = NEVER) -> None:
        said = f"{login.user}:{login.password}".encode()
        self._value = base64.b64encode(said)
        self._requests = self._left = requests

    def ask(self, head: bytes) -> list[bytes] | None:
        if _login(head, b"Basic") == self._value:
            self._left -= 1
            if self._left >= 0:
                return None
            self._left = self._requests
        return [b'Basic realm="p"']


class DigestGuard(Guard):
    """Digest with qop=auth; a nonce is good for `requests` in their order, else stale."""

    def __init__(self, login: Login, requests: int = NEVER) -> None:
        self._secret = _md5(f"{login.user}:p:{login.password}")
        self._requests = requests
        self._uses: dict[bytes, int] = {}
        self._count = 0

    def ask(self, head: bytes) -> list[bytes] | None:
        said = _login(head, b"Digest")
        if said is None or not self._is_right(head, said):
            return self._challenge(b"")
        nonce, count = (re.search(rb'%s="?([0-9a-f]+)' % name, said) for name in (b"nonce", b"nc"))
        assert nonce
        assert count
        uses = int(count[1], 16)
        is_in_order = self._uses.get(nonce[1], 0) < uses <= self._requests
        if is_in_order:
            self._uses[nonce[1]] = uses
        return None if is_in_order else self._challenge(b", stale=true")

    def _challenge(self, more: bytes) -> list[bytes]:
        self._count += 1
        return [b'Digest realm="p", qop="auth", nonce="%d"%s' % (self._count, more)]

    def _is_right(self, head: bytes, said: bytes) -> bool:
        method, uri, _ = head.split(b"\r\n")[0].decode().split(" ")
        values: dict[str, str] = dict(re.findall(r'(\w+)="?([^",]*)"?', said.decode()))
        what = _md5(f"{method}:{uri}")
        rest = f"{values['nonce']}:{values['nc']}:{values['cnonce']}:auth"
        return values["response"] == _md5(f"{self._secret}:{rest}:{what}")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _login(head: bytes, scheme: bytes) -> bytes | None:
    match = re.search(rb"\r\nProxy-Authorization: %s ([^\r]*)\r\n" % scheme, head)
    return match[1] if match else None


@dataclass
class GuardedParent:
    """A proxy's script: asks for a login on each stream anew, and answers every request itself.

    `closes`: it ends the stream after each 407, as old proxies do. `leaves_bodies`: it says
    keep-alive, and reads no more of a refused request's body, as squid does.
    """

    guard: Callable[[], Guard]
    closes: bool = False
    leaves_bodies: bool = False
    streams: int = 0
    heads: list[bytes] = field(default_factory=list)
    let_in: list[bytes] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.streams += 1
        guard = self.guard()
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"\r\nContent-Length: (\d+)\r\n", head)
                size = int(length[1]) if length else 0
                self.heads.append(head)
                challenges = guard.ask(head)
                if challenges is not None and size and self.leaves_bodies:
                    writer.write(_refusal(challenges, False))
                    await writer.wait_closed()
                    return
                await reader.readexactly(size)
                # To HEAD goes no body.
                shown = None if not head.startswith(b"HEAD ") else -len(b"who?")
                if challenges is not None:
                    writer.write(_refusal(challenges, self.closes)[:shown])
                    if self.closes:
                        return
                    continue
                self.let_in.append(head)
                if head.startswith(b"CONNECT "):
                    writer.write(CONNECTED)
                    await reader.read()
                    return
                writer.write(ANSWER if shown is None else ANSWER[: -len(b"hi")])

    @property
    def logins(self) -> int:
        """How many requests carried one."""
        return sum(b"\r\nProxy-Authorization: " in head for head in self.heads)


def _refusal(challenges: list[bytes], closes: bool) -> bytes:
    fields = b"".join(b"Proxy-Authenticate: %s\r\n" % one for one in challenges)
    end = b"Connection: close\r\n" if closes else b""
    return b"HTTP/1.1 407 Who?\r\n%s%sContent-Length: 4\r\n\r\nwho?" % (fields, end)


@pytest.fixture
def accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The passwords that pyspnego's acceptor knows."""
    path = tmp_path / "accounts"
    domain, user = CORP.user.split("\\")
    path.write_text(f"{domain}:{user}:{CORP.password}\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(path))
