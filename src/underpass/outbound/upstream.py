"""`Upstream`: goes out through another proxy, by HTTP CONNECT (plain or over TLS) or SOCKS5."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import truststore

from underpass.address import Address
from underpass.errors import DialError, Failure, LoginRefused, RemoteProtocolError, StreamError
from underpass.net.connect import connect_tls
from underpass.net.stream import Dial, Stream
from underpass.net.transport import TransportStream
from underpass.outbound.account import Account
from underpass.outbound.login import LoginTries, refused
from underpass.outbound.via import Via
from underpass.protocol.grammar import Buffer, EndOfData, Need
from underpass.protocol.http.digest import Login
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import HTTP_11, RequestHead, ResponseHead, serialise_request
from underpass.protocol.http.message import EndOfMessage, ResponseReader, Signal
from underpass.protocol.http.rules import wants_keep_alive
from underpass.protocol.socks import connect_through

# From the first byte to the proxy to its answer, its own dial included.
UPSTREAM_SECONDS = 30.0


class Rehearsed(NamedTuple):
    """What came of a rehearsal: whether the login goes on, and whether the stream does."""

    login_goes_on: bool
    stream_goes_on: bool


class Upstream:
    """Opens streams through one upstream proxy.

    The proxy's own address is asked of no policy: whoever runs this named it, and a proxy on a
    private address is what one usually is. What is opened through it is the caller's to authorise.
    `dial` opens the stream to it: `Direct.open`, or `open` of the proxy before it in a chain.
    """

    def __init__(self, proxy: Via, dial: Dial, context: ssl.SSLContext | None = None) -> None:
        self._proxy = proxy
        self._dial = dial
        self._context = context
        self._login = Login(proxy.user, proxy.password) if proxy.user else None
        # Kept between streams: what was asked once need not be asked each time.
        self._account = Account(self._login, proxy.address.host)

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

    async def rehearse(self, stream: Stream, login: LoginTries, address: Address) -> Rehearsed:
        """Say the first leg of `login` on a stream that `reach` has opened.

        It goes with a request that does no harm, should the proxy pass it on to `address`. Raises
        `DialError`, and aborts the stream then.
        """
        host = str(address).encode("ascii")
        request = RequestHead(b"HEAD", b"http://%s/" % host, HTTP_11, Fields([(b"Host", host)]))
        async with self._in_time():
            with _freeing(stream):
                head, reader = await _ask(stream, login.addressed(request))
                is_asked = await login.must_repeat(head)
                return Rehearsed(is_asked, await _finish(stream, head, reader))

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
                head, reader = await _ask(stream, login.addressed(request))
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
                for step in connect_through(buffer, address, self._login):
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
        if self._login is None:
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
    except RemoteProtocolError as error:
        stream.abort()
        raise DialError(error.failure, f"upstream proxy: {error.reason}") from error
    except (StreamError, EndOfData) as error:
        stream.abort()
        raise DialError(Failure.UPSTREAM_REFUSED, "the upstream proxy hung up") from error
    except BaseException:
        stream.abort()
        raise


async def _ask(stream: Stream, request: RequestHead) -> tuple[ResponseHead, ResponseReader]:
    """Send a request without a body; its answer's head, and what reads the rest."""
    reader = ResponseReader()
    reader.expect(request.method)
    await stream.send(serialise_request(request))
    while True:
        event = await _next_event(stream, reader)
        if not isinstance(event, ResponseHead):
            method = request.method.decode("ascii")
            raise RemoteProtocolError(f"no answer to {method}", Failure.UPSTREAM_REFUSED)
        if event.status >= 200:
            return event, reader


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
