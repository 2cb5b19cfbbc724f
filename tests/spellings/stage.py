"""A proxy with the default policy, and listeners that nobody may reach through it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.origins.held import held
from underpass import ListenAddress, Parts, Proxy, ProxyOptions
from underpass.access import Effect, Rule
from underpass.options import Limits

HOSTS = ("127.0.0.1", "127.0.0.2", "::1")
SECONDS = 5.0

Lookup = Callable[[str], list[str]]


class NameServer:
    """Says what it was told to; a name with several answers gets the next each time."""

    def __init__(self, names: Mapping[str, Sequence[str]]) -> None:
        self.names = dict(names)
        self.later: dict[str, Sequence[str]] = {}
        self.asked: list[str] = []

    def __call__(self, host: str) -> list[str]:
        self.asked.append(host)
        if host not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        answer = list(self.names[host])
        self.names[host] = self.later.get(host, answer)
        return answer


@dataclass
class Stage:
    """The proxy's own port, and listeners on one other port of several addresses."""

    own_port: int
    port: int
    listeners: dict[str, socket.socket]
    metrics: socket.socket

    def ask(self, request: bytes) -> bytes:
        """Send one request to the proxy; return the head of the answer."""
        address = ("127.0.0.1", self.own_port)
        with socket.create_connection(address, timeout=SECONDS) as client:
            client.sendall(request)
            answer = b""
            while b"\r\n\r\n" not in answer:
                data = client.recv(65536)
                if not data:
                    break
                answer += data
        return answer.partition(b"\r\n\r\n")[0]

    def visitors(self) -> list[str]:
        """The listeners that were reached since the last time."""
        found = [host for host, listener in self.listeners.items() if _accepts(listener)]
        return [*found, *(["metrics"] if _accepts(self.metrics) else [])]


def _accepts(listener: socket.socket) -> bool:
    seen = False
    with contextlib.suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
            seen = True
    return seen


def _listeners() -> Iterator[tuple[str, socket.socket]]:
    """One port on each of the addresses that this machine has."""
    first = socket.create_server((HOSTS[0], 0))
    port = first.getsockname()[1]
    yield HOSTS[0], first
    for host in HOSTS[1:]:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # A machine without IPv6 has no ::1 to be protected.
        with contextlib.suppress(OSError):
            yield host, socket.create_server((host, port), family=family)


@contextlib.asynccontextmanager
async def _proxy(parts: Parts, allow: Sequence[str], metrics: int) -> AsyncIterator[Proxy]:
    options = ProxyOptions(
        listen=(ListenAddress("127.0.0.1", 0),),
        allow=tuple(Rule.parse(Effect.ALLOW, text) for text in allow),
        limits=Limits(drain_timeout=0),
    )
    async with Proxy(options, parts) as proxy:
        proxy.protect([ListenAddress("127.0.0.1", metrics)])
        yield proxy
        proxy.end()


@contextlib.contextmanager
def stage(lookup: Lookup, allow: Sequence[str] = ()) -> Iterator[Stage]:
    """Run a proxy that resolves names by `lookup`, and the listeners."""
    with contextlib.ExitStack() as open_:
        listeners = dict(_listeners())
        metrics = socket.create_server(("127.0.0.1", 0))
        for listener in (*listeners.values(), metrics):
            open_.enter_context(listener)
            listener.setblocking(False)
        manager = _proxy(Parts(lookup=lookup), allow, metrics.getsockname()[1])
        proxy = open_.enter_context(held(manager))
        port = listeners[HOSTS[0]].getsockname()[1]
        yield Stage(proxy.addresses[0].port, port, listeners, metrics)
