"""One client process: what it says, how it is told to end, and how it reads everything again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.unit.frontends.http.dialogue import RawClient, origin
from tests.unit.test_tunnel_server import House, echo, house
from tests.unit.tunnel_client import invite_to
from underpass import client_app
from underpass.carriers.methods import Methods
from underpass.client import profile
from underpass.client.control import ask, socket_path
from underpass.client.profile import ClientSetup
from underpass.client_app import ClientProcess, listeners_of, run_client
from underpass.client_options import ClientOptions, Forward, Through
from underpass.errors import ConfigurationError
from underpass.log_writer import LogWriter
from underpass.logs import logging_to
from underpass.observe import Counter, Counters, Observer
from underpass.protocol.invite import Invite
from underpass.tunnel.greeting import HandshakeRefused

SECONDS = 15.0


@dataclass
class Running:
    """A client process in this one; its outcome is an exit code or why it ended."""

    process: ClientProcess
    outcome: asyncio.Task[int | HandshakeRefused]
    port: int
    capsys: pytest.CaptureFixture[str]
    # What it reads at the next SIGHUP.
    options: ClientOptions
    output: str = ""

    async def reloads(self, counter: Counter = Counter.RELOADS) -> None:
        """Send SIGHUP and wait until that was followed, or refused."""
        counters = self.process.observer.counters
        before = counters.value(counter)
        os.kill(os.getpid(), signal.SIGHUP)
        while counters.value(counter) == before:
            await asyncio.sleep(0.005)

    async def says(self, text: str) -> str:
        """Wait until it has said `text` on standard output; all that it has said."""
        async with asyncio.timeout(SECONDS):
            while text not in self.output:
                await asyncio.sleep(0.005)
                self.output += self.capsys.readouterr().out
        return self.output


async def _outcome(process: ClientProcess) -> int | HandshakeRefused:
    try:
        return await process.run()
    except HandshakeRefused as refused:
        return refused


@contextlib.asynccontextmanager
async def running(
    tmp_path: Path, server: House, capsys: pytest.CaptureFixture[str], log: LogWriter, port: int
) -> AsyncIterator[Running]:
    """A client of `server` with a forward to `port`."""
    path = tmp_path / "work.toml"
    if not path.exists():
        profile.join(invite_to(tmp_path / "server", server.url), path)
    forward = Forward.parse(f"0:127.0.0.1:{port}")
    options = ClientOptions(forward=(forward,), via=Through(), state=tmp_path / "client")
    setup = ClientSetup(profile.load(path), options)

    def load() -> ClientSetup:
        return ClientSetup(profile.load(path), one.options)

    process = ClientProcess(load, setup, log, Observer())
    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
        one = Running(process, tasks.create_task(_outcome(process)), 0, capsys, options)
        try:
            said = await one.says(f" -> 127.0.0.1:{port}\n")
            one.port = int(said.split(" -> ")[0].rpartition(":")[2])
            yield one
        finally:
            process.stopping.set()
            process.ending.set()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogWriter]:
    with logging_to("text", tmp_path / "log", Counters()) as writer:
        yield writer


async def test_it_says_where_it_listens_and_over_what_it_is_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], log: LogWriter
) -> None:
    async with (
        house(tmp_path / "server") as server,
        origin(echo) as there,
        running(tmp_path, server, capsys, log, there.port) as one,
    ):
        said = await one.says(" ms\n")
        assert said.startswith("listening forward://127.0.0.1:")
        assert "tunnel up: websocket, direct, " in said
        client = RawClient(*await asyncio.open_connection("127.0.0.1", one.port))
        await client.say(b"ping")
        assert await client.exactly(4) == b"ping"
        path = socket_path(tmp_path / "work.toml", tmp_path / "client")
        status = await asyncio.to_thread(ask, path)
        assert status["up"] is True
        assert (status["streams"], status["clients"]) == (1, 1)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.05)
        assert not one.outcome.done()
        # What is under way may end.
        await client.close()
        assert await one.outcome == 0


async def test_a_second_signal_ends_what_is_under_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], log: LogWriter
) -> None:
    async with (
        house(tmp_path / "server") as server,
        origin(echo) as there,
        running(tmp_path, server, capsys, log, there.port) as one,
    ):
        client = RawClient(*await asyncio.open_connection("127.0.0.1", one.port))
        await client.say(b"ping")
        assert await client.exactly(4) == b"ping"
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(0.02)
        assert await one.outcome == 130
        await client.close()


async def test_the_servers_no_ends_it_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], log: LogWriter
) -> None:
    async with house(tmp_path / "server") as server:
        async with running(tmp_path, server, capsys, log, 9) as one:
            await one.says("tunnel up")
            server.store.remove("alice")
            outcome = await one.outcome
        assert isinstance(outcome, HandshakeRefused)
        assert "not known here" in outcome.reason


async def test_everything_is_read_again_and_gone_by(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], log: LogWriter
) -> None:
    async with (
        house(tmp_path / "server") as server,
        origin(echo) as there,
        running(tmp_path, server, capsys, log, there.port) as one,
    ):
        await one.says("tunnel up: websocket, direct")
        client = RawClient(*await asyncio.open_connection("127.0.0.1", one.port))
        await client.say(b"pi")
        # Another kind of carrier, another listener, another file for the log.
        more = Forward.parse("0:127.0.0.1:8")
        one.options = replace(
            one.options,
            carrier="poll",
            forward=(*one.options.forward, more),
            log_file=tmp_path / "elsewhere",
        )
        await one.reloads()
        said = await one.says("tunnel up: poll, direct")
        assert said.count("listening ") == 2
        assert said.count(" -> 127.0.0.1:8\n") == 1
        # The stream of before goes on over it.
        await client.say(b"ng")
        assert await client.exactly(4) == b"ping"
        await client.close()
        one.options = replace(one.options, forward=one.options.forward[:1])
        await one.reloads()
        path = socket_path(tmp_path / "work.toml", tmp_path / "client")
        status = await asyncio.to_thread(ask, path)
        assert status["listening"] == [f"forward://127.0.0.1:{one.port} -> 127.0.0.1:{there.port}"]
    log.close()
    assert "configuration read again" in (tmp_path / "elsewhere").read_text()


async def test_what_waits_for_a_restart_is_told(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    log: LogWriter,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        house(tmp_path / "server") as server,
        running(tmp_path, server, capsys, log, 9) as one,
    ):
        await one.says("tunnel up")
        path = tmp_path / "work.toml"
        path.write_text(path.read_text().replace("127.0.0.1", "localhost"))
        one.options = replace(one.options, log="json", state=tmp_path / "elsewhere")
        await one.reloads()
        for what in ("log", "state", "the profile's server or key"):
            assert f"a change of {what} takes effect at the next start" in caplog.text


async def test_what_can_not_be_gone_by_changes_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    log: LogWriter,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        house(tmp_path / "server") as server,
        origin(echo) as there,
        running(tmp_path, server, capsys, log, there.port) as one,
    ):
        await one.says("tunnel up")
        as_it_was = one.options
        taken = Forward.parse(f"{there.port}:127.0.0.1:8")
        for wrong in (
            replace(as_it_was, forward=(taken,), carrier="poll"),
            replace(as_it_was, carrier="poll", methods=Methods.parse("GET")),
            replace(as_it_was, opened_tls="refuse"),
        ):
            one.options = wrong
            await one.reloads(Counter.RELOAD_FAILURES)
        (tmp_path / "work.toml").write_text("nonsense")
        await one.reloads(Counter.RELOAD_FAILURES)
        assert caplog.text.count("configuration not changed: ") == 4
        client = RawClient(*await asyncio.open_connection("127.0.0.1", one.port))
        await client.say(b"ping")
        assert await client.exactly(4) == b"ping"
        await client.close()
        assert one.process.setup.options == as_it_was


def test_a_login_comes_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "login"
    file.write_text("alice:secret\n")
    file.chmod(0o600)
    login = listeners_of(ClientOptions(login_file=file)).login
    assert login is not None
    assert (login.user, login.password) == ("alice", "secret")
    file.chmod(0o644)
    with pytest.raises(ConfigurationError, match="every user of this machine can read"):
        listeners_of(ClientOptions(login_file=file))


def test_a_client_may_open_as_many_files_as_it_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(client_app, "keep_freed_memory", lambda: asked.append("memory"))
    monkeypatch.setattr(client_app, "raise_file_limit", lambda: asked.append("files"))
    invite = Invite("http://127.0.0.1:1", bytes(32), "alice", bytes(16))
    known = profile.join(invite, tmp_path / "alice.toml")
    # It ends before it begins: there is nowhere to write the log.
    options = ClientOptions(log_file=tmp_path / "nowhere" / "log")
    with pytest.raises(ConfigurationError, match="log_file"):
        run_client(lambda: ClientSetup(known, options))
    assert asked == ["memory", "files"]
