"""Listening: what is bound, who is let in, and what happens at the limits."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from underpass.address import ListenAddress
from underpass.errors import ConfigurationError
from underpass.net.gate import Gate, GateLimits, Ticket
from underpass.net.listen import Listener, Service, bind, listening_on
from underpass.net.transport import TransportStream
from underpass.observe import Counter

LOOPBACK = ListenAddress("127.0.0.1", 0)


async def echo(stream: TransportStream, ticket: Ticket) -> None:
    while data := await stream.receive():
        await stream.send(data)
    await stream.close()


@contextlib.asynccontextmanager
async def listening(service: Service) -> AsyncIterator[tuple[str, int]]:
    [sock] = bind(LOOPBACK)
    name = sock.getsockname()
    async with asyncio.TaskGroup() as tasks:
        listener = Listener([sock], service, tasks)
        listener.start()
        yield name
        listener.stop()
        service.gate.evict_all()


async def ask(name: tuple[str, int], data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*name)
    async with asyncio.timeout(5):
        writer.write(data)
        answer = await reader.read(100)
    writer.close()
    await writer.wait_closed()
    return answer


def test_port_0_is_bound_to_a_free_port() -> None:
    [sock] = bind(LOOPBACK)
    with sock:
        assert listening_on(sock) == ListenAddress("127.0.0.1", sock.getsockname()[1])


def test_a_port_in_use_is_a_configuration_error() -> None:
    [sock] = bind(LOOPBACK)
    with sock, pytest.raises(ConfigurationError, match=r"can't listen on .*in use"):
        bind(listening_on(sock))


def test_workers_share_a_port() -> None:
    [first] = bind(LOOPBACK, reuse_port=True)
    [second] = bind(listening_on(first), reuse_port=True)
    with first, second:
        assert first.getsockname() == second.getsockname()


def test_unix_socket_is_for_its_owner_alone_and_replaces_a_dead_one(tmp_path: Path) -> None:
    address = ListenAddress(None, 0, str(tmp_path / "proxy.sock"))
    [dead] = bind(address)
    dead.close()
    [sock] = bind(address)
    with sock:
        assert stat.S_IMODE(os.stat(str(address.path)).st_mode) == 0o600
        assert listening_on(sock) == address
        with pytest.raises(ConfigurationError, match="in use"):
            bind(address)


def test_unix_socket_never_replaces_a_file(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(ConfigurationError):
        bind(ListenAddress(None, 0, str(path)))
    assert path.read_text() == "data"


async def test_what_is_accepted_is_served() -> None:
    async with listening(Service(echo, Gate(GateLimits()))) as name:
        assert await ask(name, b"hello") == b"hello"


async def test_over_the_limit_is_told_so_and_one_that_leaves_makes_room() -> None:
    service = Service(echo, Gate(GateLimits(total=1)), shed=b"busy")
    async with listening(service) as name:
        reader, writer = await asyncio.open_connection(*name)
        writer.write(b"x")
        assert await reader.read(1) == b"x"
        assert await ask(name, b"") == b"busy"
        writer.close()
        await writer.wait_closed()
        async with asyncio.timeout(5):
            while len(service.gate):
                await asyncio.sleep(0)
        assert await ask(name, b"hello") == b"hello"


class OutOfFiles(socket.socket):
    """A listening socket whose accept says once that the process is out of files."""

    failures = 1

    def accept(self) -> tuple[socket.socket, object]:
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, "too many open files")
        return super().accept()


async def test_out_of_files_rests_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("underpass.net.listen.ACCEPT_REST", 0.01)
    [bound] = bind(LOOPBACK)
    gate = Gate(GateLimits())
    sock = OutOfFiles(bound.family, bound.type, fileno=bound.detach())
    async with asyncio.TaskGroup() as tasks:
        listener = Listener([sock], Service(echo, gate), tasks)
        listener.start()
        assert await ask(sock.getsockname(), b"hello") == b"hello"
        assert sock.failures == 0
        assert gate.counters.value(Counter.ACCEPT_PAUSES) == 1
        listener.stop()


async def test_evicted_client_is_reset() -> None:
    service = Service(echo, Gate(GateLimits(unsettled=1)))
    async with listening(service) as name:
        reader, writer = await asyncio.open_connection(*name)
        writer.write(b"x")
        assert await reader.read(1) == b"x"
        assert await ask(name, b"hello") == b"hello"
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        writer.close()
        with contextlib.suppress(ConnectionResetError):
            await writer.wait_closed()


async def test_a_stream_whose_place_is_kept_outlives_its_task() -> None:
    kept: list[tuple[TransportStream, Ticket]] = []

    async def keep(stream: TransportStream, ticket: Ticket) -> None:
        ticket.keep(stream.abort)
        kept.append((stream, ticket))

    service = Service(keep, Gate(GateLimits()))
    async with listening(service) as name:
        reader, writer = await asyncio.open_connection(*name)
        async with asyncio.timeout(5):
            while not kept:
                await asyncio.sleep(0)
            [(stream, ticket)] = kept
            await asyncio.sleep(0)
            await stream.send(b"still here")
            assert await reader.read(10) == b"still here"
            assert len(service.gate) == 1
            await stream.close()
            ticket.leave()
            assert len(service.gate) == 0
            assert await reader.read(1) == b""
        writer.close()
        await writer.wait_closed()
