"""`Upstream`: goes out through another proxy, by HTTP CONNECT (plain or over TLS) or SOCKS5."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import urllib.parse
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import truststore

from underpass.address import Address
from underpass.errors import DialError, Failure, LoginRefused, RemoteProtocolError, StreamError
from underpass.net.connect import connect_tls
from underpass.net.stream import Dial, Stream
from underpass.net.transport import TransportStream
from underpass.outbound.account import Account
from underpass.outbound.direct import Direct
from underpass.outbound.login import LoginTries, refused
from underpass.protocol.grammar import Buffer, EndOfData, Need
from underpass.protocol.http.digest import Login
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import HTTP_11, RequestHead, ResponseHead, serialise_request
from underpass.protocol.http.message import EndOfMessage, ResponseReader, Signal
from underpass.protocol.http.rules import wants_keep_alive
from underpass.protocol.socks import connect_through

# From the first byte to the proxy to its answer, its own dial included.
UPSTREAM_SECONDS = 30.0


DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080}
# Names are always resolved by the proxy.
_ALIASES = {"socks5h": "socks5", "socks": "socks5"}


@dataclass(frozen=True, slots=True)
class UpstreamProxy:
    """Where another proxy is and how to speak to it; `scheme` is http, https or socks5."""

    scheme: str
    address: Address
    login: Login | None = None

    @classmethod
    def parse(cls, url: str) -> UpstreamProxy:
        """Parse ``http|https|socks5://[user[:password]@]host[:port]``; `socks5h` is the same.

        Raises `ValueError`, whose text never holds the URL: that may hold a password.
        """
        scheme, separator, _ = url.partition("://")
        scheme = _ALIASES.get(scheme.lower(), scheme.lower())
        if not separator or scheme not in DEFAULT_PORTS:
            raise ValueError("expected http://, https:// or socks5://host:port")
        if not all("!" <= character <= "~" for character in url):
            # urlsplit would take a line end or tab out, and go on with what is left.
            raise ValueError("a proxy's URL is printable ASCII without spaces")
        try:
            parts = urllib.parse.urlsplit(url)
            port = parts.port if parts.port is not None else DEFAULT_PORTS[scheme]
            address = Address.of(parts.hostname or "", port)
            user = urllib.parse.unquote(parts.username or "", errors="strict")
            password = urllib.parse.unquote(parts.password or "", errors="strict")
        except ValueError:
            # `from None`: the text of the cause may quote a piece of the password.
            raise ValueError("the proxy's host, port or user is malformed") from None
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ValueError("a proxy has no path, query or fragment")
        return cls(scheme, address, Login(user, password) if user else None)

    @property
    def name(self) -> str:
        """Such as ``proxy.example:3128`` or ``socks5 10.0.0.1:1080``, for people."""
        return str(self.address) if self.scheme == "http" else f"{self.scheme} {self.address}"


Chain: TypeAlias = tuple[UpstreamProxy, ...]
"""The upstream proxies to go through, the nearest first; none: directly."""

# The longest chain that anybody needs, and a bound on what one setting can make us do.
MAX_CHAIN = 8


def parse_chain(text: str) -> Chain:
    """Parse the URLs of proxies with commas between, the nearest first. Raises `ValueError`."""
    urls = [url.strip() for url in text.split(",")]
    if len(urls) > MAX_CHAIN:
        raise ValueError(f"a chain has {MAX_CHAIN} proxies at most")
    return tuple(UpstreamProxy.parse(url) for url in urls)


class Upstream:
    """Opens streams through one upstream proxy.

    The proxy's own address is asked of no policy: whoever runs this named it, and a proxy on a
    private address is what one usually is. What is opened through it is the caller's to authorise.
    `dial` opens the stream to it: `Direct.open`, or `open` of the proxy before it in a chain.
    """

    def __init__(
        self, proxy: UpstreamProxy, dial: Dial, context: ssl.SSLContext | None = None
    ) -> None:
        self._proxy = proxy
        self._dial = dial
        self._context = context
        # Kept between streams: what was asked once need not be asked each time.
        self._account = Account(proxy.login, proxy.address.host)

    @classmethod
    def from_url(cls, url: str, direct: Direct) -> Upstream:
        """The same from a URL. Raises `ValueError`."""
        return cls(UpstreamProxy.parse(url), direct.open)

    @property
    def forwards(self) -> bool:
        """Whether the proxy takes plain requests too, in absolute-form: an HTTP proxy does."""
        return self._proxy.scheme != "socks5"

    def login(self) -> LoginTries:
        """The login for the requests over one stream to the proxy."""
        return LoginTries(self._account)

    async def reach(self) -> Stream:
        """Open a stream to the proxy itself, for plain requests. Raises `DialError`."""
        async with self._in_time():
            return await self._reach()

    async def open(self, address: Address) -> Stream:
        """Open a stream to `address` through the proxy. Raises `DialError`."""
        async with self._in_time():
            if self._proxy.scheme == "socks5":
                return await self._open_socks(address)
            return await self._open_http(address)

    @contextlib.asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(UPSTREAM_SECONDS):
                yield
        except TimeoutError:
            details = f"the upstream proxy {self._proxy.address} does not answer"
            raise DialError(Failure.CONNECTION_TIMEOUT, details) from None

    async def _reach(self) -> Stream:
        where = self._proxy.address
        try:
            stream = await self._dial(where)
        except DialError as error:
            details = f"upstream proxy {where}: {error.details}"
            raise DialError(error.failure, details, parameters=error.parameters) from error
        if self._proxy.scheme != "https" or not isinstance(stream, TransportStream):
            return stream
        if self._context is None:
            self._context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return await connect_tls(stream, self._context, where.host, UPSTREAM_SECONDS)

    async def _open_http(self, address: Address) -> Stream:
        target = str(address).encode("ascii")
        request = RequestHead(b"CONNECT", target, HTTP_11, Fields([(b"Host", target)]))
        login = self.login()
        stream: Stream | None = None
        while True:
            is_fresh = stream is None
            stream = stream or await self._reach()
            with _freeing(stream):
                if is_fresh:
                    await login.begin()
                await stream.send(serialise_request(login.addressed(request)))
                reader = ResponseReader()
                reader.expect(b"CONNECT")
                head = await _final_head(stream, reader)
                # Ends the loop: the login counts its tries.
                must_repeat = await login.must_repeat(head)
                if head.status // 100 == 2:
                    stream.unread(reader.release())
                    return stream
                if not must_repeat:
                    raise refused(head)
                if not await _finish(stream, head, reader):
                    stream.abort()
                    stream = None

    async def _open_socks(self, address: Address) -> Stream:
        async with self._logging_in():
            stream = await self._reach()
            buffer = Buffer()
            with _freeing(stream):
                for step in connect_through(buffer, address, self._proxy.login):
                    if not isinstance(step, Need):
                        await stream.send(step)
                    elif data := await stream.receive():
                        buffer.feed(data)
                    else:
                        buffer.end()
        stream.unread(buffer.take(len(buffer)))
        return stream

    @contextlib.asynccontextmanager
    async def _logging_in(self) -> AsyncIterator[None]:
        """Count what becomes of a login that the block makes, if there is one to be made."""
        if self._proxy.login is None:
            yield
            return
        await self._account.turn()
        try:
            yield
        except LoginRefused:
            self._account.refused()
            raise
        except BaseException:
            self._account.let_go()
            raise
        self._account.accepted()


@contextlib.contextmanager
def _freeing(stream: Stream) -> Iterator[None]:
    """Abort `stream` when anything goes wrong with it, and say so as a `DialError`."""
    try:
        yield
    except BaseException as error:
        stream.abort()
        if isinstance(error, RemoteProtocolError):
            raise DialError(error.failure, f"upstream proxy: {error.reason}") from error
        if isinstance(error, (StreamError, EndOfData)):
            raise DialError(Failure.UPSTREAM_REFUSED, "the upstream proxy hung up") from error
        raise


async def _final_head(stream: Stream, reader: ResponseReader) -> ResponseHead:
    while True:
        event = await _next_event(stream, reader)
        if not isinstance(event, ResponseHead):
            raise RemoteProtocolError("no answer to CONNECT", Failure.UPSTREAM_REFUSED)
        if event.status >= 200:
            return event


async def _next_event(stream: Stream, reader: ResponseReader) -> object:
    event = reader.next_event()
    while event is Signal.NEED_DATA:
        data = await stream.receive()
        if data:
            reader.receive_data(data)
        else:
            reader.receive_eof()
        event = reader.next_event()
    return event


# A 407's body is a page for people; one that is larger is not worth keeping the stream for.
MAX_REFUSAL_BODY = 64 * 1024
# Pieces of it that are read.
MAX_REFUSAL_PIECES = 256


async def _finish(stream: Stream, head: ResponseHead, reader: ResponseReader) -> bool:
    """Read a refusal to its end; whether another request may follow on the stream."""
    if not wants_keep_alive(head) or reader.framing.length > MAX_REFUSAL_BODY:
        return False
    for _ in range(MAX_REFUSAL_PIECES):
        event = await _next_event(stream, reader)
        if isinstance(event, EndOfMessage):
            return stream.is_quiet and not reader.has_buffered
        if isinstance(event, Signal):
            return False
    return False
