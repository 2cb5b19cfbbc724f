"""A proxy's client that says exactly what it is told to, and waits for the answer."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
from collections.abc import Iterator

SECONDS = 10.0


class Client:
    """One connection to a proxy. Every wait ends after `SECONDS`."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.settimeout(SECONDS)
        self._stream = sock.makefile("rb")

    def say(self, text: str | bytes) -> None:
        self.sock.sendall(text.encode("latin-1") if isinstance(text, str) else text)

    def head(self) -> str:
        """An answer's status line and fields; ``""`` where the end came instead."""
        lines = []
        while (line := self._stream.readline()) not in (b"\r\n", b""):
            lines.append(line.decode("latin-1").rstrip("\r\n"))
        return "\n".join(lines)

    def exactly(self, size: int) -> bytes:
        return self._stream.read(size)

    def rest(self) -> bytes:
        """Everything until the end."""
        return self._stream.read()

    def tunnel(self, target: str, *fields: str) -> str:
        """Ask for a tunnel; the head of the answer."""
        self.say("\r\n".join([f"CONNECT {target} HTTP/1.1", f"Host: {target}", *fields, "", ""]))
        return self.head()

    def get(self, target: str, *fields: str) -> tuple[str, bytes]:
        """Ask for ``host:port/path``; the answer's head, and its body if it has a length."""
        host = target.partition("/")[0]
        self.say("\r\n".join([f"GET http://{target} HTTP/1.1", f"Host: {host}", *fields, "", ""]))
        head = self.head()
        sizes = [line for line in head.lower().split("\n") if line.startswith("content-length:")]
        return head, self.exactly(int(sizes[0].partition(":")[2])) if sizes else b""

    def echoes(self, text: bytes = b"still here?") -> bool:
        """Whether what is said into a tunnel to an echo comes back."""
        self.say(text)
        return self.exactly(len(text)) == text

    def finish(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        self._stream.close()
        self.sock.close()


@contextlib.contextmanager
def client(
    port: int, source: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[Client]:
    """Connect to a proxy on loopback."""
    sock = socket.create_connection(("127.0.0.1", port), SECONDS, (source, 0))
    mine = Client(tls.wrap_socket(sock, server_hostname="127.0.0.1") if tls else sock)
    try:
        yield mine
    finally:
        mine.close()


def metric(port: int, name: str) -> int:
    """The value of a metric that is served at `port`, added up over its labels."""
    with client(port) as scraper:
        scraper.say("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        page = scraper.rest().decode()
    values = re.findall(rf"^{name}(?:{{.*?}})? ([0-9.]+)$", page, re.MULTILINE)
    assert values, page
    return sum(int(float(value)) for value in values)


def health(port: int) -> str:
    """The head of what ``/healthz`` says at `port`."""
    with client(port) as asker:
        asker.say("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return asker.head()
