"""Opening TCP and TLS streams: what comes of each way that it can go wrong."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import errno
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Iterator

import pytest
import trustme

from tests.unit.net.stream_kinds import LOOPBACK, SECONDS, accepted
from underpass.errors import DialError, Failure
from underpass.net.connect import (
    KEEPALIVE_IDLE,
    KEEPALIVE_INTERVAL,
    KEEPALIVE_PROBES,
    Connector,
    connect_tcp,
    connect_tls,
)
from underpass.net.transport import TransportStream

YESTERDAY = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.settimeout(SECONDS)
        yield sock


@pytest.fixture
def blackhole() -> Iterator[int]:
    """A port that answers nothing: its queue of waiting connections is full, and stays so."""
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(socket.socket())
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(sock.getsockname())
        yield sock.getsockname()[1]


def port_of(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port


async def free(stream: TransportStream) -> None:
    stream.abort()
    await stream.wait_flushed(SECONDS)
    await asyncio.sleep(0)


# --- TCP


async def test_a_stream_is_opened_and_watched_by_the_kernel(listener: socket.socket) -> None:
    stream = await connect_tcp(LOOPBACK, port_of(listener), SECONDS)
    sock = stream.transport.get_extra_info("socket")
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    for option, value in (
        (socket.TCP_KEEPIDLE, KEEPALIVE_IDLE),
        (socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL),
        (socket.TCP_KEEPCNT, KEEPALIVE_PROBES),
    ):
        assert sock.getsockopt(socket.IPPROTO_TCP, option) == value
    other, _ = listener.accept()
    with other:
        await stream.send(b"hello")
        assert other.recv(5) == b"hello"
        await free(stream)


async def test_a_stream_of_many_is_watched_once_it_has_lived_for_a_while(
    listener: socket.socket,
) -> None:
    connector = Connector(SECONDS, keep_alive_after=0.01)
    short = await connector.connect(LOOPBACK, port_of(listener))
    stream = await connector.connect(LOOPBACK, port_of(listener))
    await free(short)
    sock = stream.transport.get_extra_info("socket")
    assert not sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    async with asyncio.timeout(SECONDS):
        while not sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE):
            await asyncio.sleep(0.001)
    await free(stream)


async def test_a_stream_that_is_lost_just_then_is_not_watched(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(sock: socket.socket) -> None:
        # As some systems say of a socket that was reset.
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr("underpass.net.connect.set_keepalive", refuse)
    connector = Connector(SECONDS)
    stream = await connector.connect(LOOPBACK, port_of(listener))
    connector._young.ring()
    await free(stream)
    await free(await connect_tcp(LOOPBACK, port_of(listener), SECONDS))


async def test_a_stream_whose_tls_has_let_go_of_its_socket_is_not_watched(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = Connector(SECONDS)
    stream = await connector.connect(LOOPBACK, port_of(listener))
    with monkeypatch.context() as patch:
        # asyncio's TLS transport knows no socket any more, just before it says that it is lost.
        patch.setattr(TransportStream, "transport", asyncio.Transport())
        connector._young.ring()
    await free(stream)


async def test_many_dials_share_their_time_out(blackhole: int) -> None:
    with pytest.raises(DialError, match=r"after 0\.01 s") as caught:
        await Connector(0.01).connect(LOOPBACK, blackhole)
    assert caught.value.failure is Failure.CONNECTION_TIMEOUT


async def test_nobody_listening_is_refused(listener: socket.socket) -> None:
    port = port_of(listener)
    listener.close()
    with pytest.raises(DialError, match=f"connection refused: 127.0.0.1:{port}") as caught:
        await connect_tcp(LOOPBACK, port, SECONDS)
    assert caught.value.failure is Failure.CONNECTION_REFUSED


async def test_no_answer_is_a_time_out(blackhole: int) -> None:
    with pytest.raises(DialError, match=r"after 0\.01 s") as caught:
        await connect_tcp(LOOPBACK, blackhole, 0.01)
    assert caught.value.failure is Failure.CONNECTION_TIMEOUT


async def test_what_no_route_leads_to_is_told() -> None:
    with pytest.raises(DialError) as caught:
        await connect_tcp(ipaddress.ip_address("255.255.255.255"), 80, SECONDS)
    assert caught.value.failure in (Failure.NETWORK_UNREACHABLE, Failure.HOST_UNREACHABLE)


@pytest.mark.parametrize("steps", range(12))
async def test_a_cancelled_dial_leaves_nothing_open(listener: socket.socket, steps: int) -> None:
    async with asyncio.TaskGroup() as tasks:
        dialling = tasks.create_task(connect_tcp(LOOPBACK, port_of(listener), SECONDS))
        for _ in range(steps):
            await asyncio.sleep(0)
        dialling.cancel()
    if not dialling.cancelled():
        await free(dialling.result())
        return
    # Whatever came is at its end already; nothing was sent on it.
    listener.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        other, _ = listener.accept()
        with other:
            other.setblocking(False)
            async with asyncio.timeout(SECONDS):
                with contextlib.suppress(ConnectionResetError):
                    assert await asyncio.get_running_loop().sock_recv(other, 1) == b""


# --- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """A client that trusts the test's authority alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


def serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@contextlib.asynccontextmanager
async def tls_server(
    listener: socket.socket, context: ssl.SSLContext
) -> AsyncIterator[TransportStream]:
    """A TCP stream whose other end will speak TLS, and say what it hears."""

    async def echo() -> None:
        with contextlib.suppress(OSError):
            stream = await accepted(listener.accept()[0], context)
            await stream.send(await stream.receive())
            await stream.close()

    stream = await connect_tcp(LOOPBACK, port_of(listener), SECONDS)
    async with asyncio.timeout(2 * SECONDS), asyncio.TaskGroup() as tasks:
        tasks.create_task(echo())
        yield stream
        await free(stream)


async def test_tls_is_spoken_with_who_proves_the_name(
    listener: socket.socket, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    async with tls_server(listener, serving(authority.issue_cert("proxy.example"))) as stream:
        secured = await connect_tls(stream, trusting, "proxy.example", SECONDS)
        assert secured.transport.get_extra_info("ssl_object").version() == "TLSv1.3"
        await secured.send(b"hello")
        assert await secured.receive() == b"hello"
        assert await secured.receive() == b""


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("name", "mismatch"),
        ("expired", "expired"),
        ("authority", "self.signed|unable to get local issuer"),
    ],
)
async def test_a_certificate_that_proves_nothing_is_refused(
    listener: socket.socket,
    authority: trustme.CA,
    trusting: ssl.SSLContext,
    case: str,
    said: str,
) -> None:
    certificate = {
        "name": lambda: authority.issue_cert("other.example"),
        "expired": lambda: authority.issue_cert("proxy.example", not_after=YESTERDAY),
        "authority": lambda: trustme.CA().issue_cert("proxy.example"),
    }[case]()
    async with tls_server(listener, serving(certificate)) as stream:
        with pytest.raises(DialError, match=said) as caught:
            await connect_tls(stream, trusting, "proxy.example", SECONDS)
        assert caught.value.failure is Failure.UPSTREAM_CERTIFICATE
        assert caught.value.details.startswith("proxy.example: ")


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""], ids=["http", "end"])
async def test_who_speaks_no_tls_is_told(
    listener: socket.socket, trusting: ssl.SSLContext, answer: bytes
) -> None:
    stream = await connect_tcp(LOOPBACK, port_of(listener), SECONDS)
    other, _ = listener.accept()
    with other:
        other.sendall(answer)
        other.shutdown(socket.SHUT_WR)
        with pytest.raises(DialError) as caught:
            await connect_tls(stream, trusting, "proxy.example", SECONDS)
        assert caught.value.failure in (
            Failure.UPSTREAM_TLS,
            Failure.CONNECTION_TERMINATED,
        )
    await free(stream)


async def test_a_handshake_that_stalls_is_a_time_out(
    listener: socket.socket, trusting: ssl.SSLContext
) -> None:
    stream = await connect_tcp(LOOPBACK, port_of(listener), SECONDS)
    other, _ = listener.accept()
    with other:
        with pytest.raises(DialError, match="TLS with proxy") as caught:
            await connect_tls(stream, trusting, "proxy.example", 0.02)
        assert caught.value.failure is Failure.CONNECTION_TIMEOUT
    await free(stream)


async def test_a_cancelled_handshake_leaves_nothing_open(
    listener: socket.socket, trusting: ssl.SSLContext
) -> None:
    stream = await connect_tcp(LOOPBACK, port_of(listener), SECONDS)
    other, _ = listener.accept()
    other.setblocking(False)
    loop = asyncio.get_running_loop()
    with other:
        async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
            handshake = tasks.create_task(connect_tls(stream, trusting, "proxy.example", SECONDS))
            assert await loop.sock_recv(other, 65536)
            handshake.cancel()
        async with asyncio.timeout(SECONDS):
            with contextlib.suppress(ConnectionResetError):
                while await loop.sock_recv(other, 65536):
                    pass


async def test_who_never_says_good_bye_is_not_waited_for(
    listener: socket.socket,
    authority: trustme.CA,
    trusting: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("underpass.net.connect.TLS_SHUTDOWN_SECONDS", 0.02)
    server = serving(authority.issue_cert("proxy.example"))
    stream = await connect_tcp(LOOPBACK, port_of(listener), SECONDS)
    other, _ = listener.accept()
    other.settimeout(SECONDS)

    def shake_hands() -> ssl.SSLSocket:
        return server.wrap_socket(other, server_side=True)

    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
        shaking = tasks.create_task(asyncio.to_thread(shake_hands))
        await connect_tls(stream, trusting, "proxy.example", SECONDS)
    with shaking.result():
        await stream.close()
        async with asyncio.timeout(1):
            while "LOST" not in repr(stream):
                await asyncio.sleep(0.001)


def test_a_stream_that_ends_with_the_handshake_is_told(trusting: ssl.SSLContext) -> None:
    class Loop(asyncio.SelectorEventLoop):
        """asyncio's own loop returns None where the stream is lost in just that moment."""

        async def start_tls(self, *_: object, **__: object) -> None:
            return None

    async def dial(port: int) -> None:
        stream = await connect_tcp(LOOPBACK, port, SECONDS)
        with pytest.raises(DialError) as caught:
            await connect_tls(stream, trusting, "proxy.example", SECONDS)
        assert caught.value.failure is Failure.CONNECTION_TERMINATED
        await free(stream)

    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        asyncio.Runner(loop_factory=Loop) as runner,
    ):
        runner.run(dial(port_of(listening)))
