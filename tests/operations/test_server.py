"""`underpass server` and `underpass client` as they are run: two processes, an invite between."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.operations.client import client as http_client
from tests.operations.client import health, metric
from tests.real.processes import ProxyProcess, listening_process, underpass, wait_until

pytestmark = pytest.mark.slow

SOON = 8.0


@dataclass
class Server:
    """A server with its state, and the prefix below which it is."""

    process: ProxyProcess
    state: Path
    prefix: str

    def command(self, *arguments: str) -> str:
        """Run a command on the server's state; what it prints."""
        done = subprocess.run(
            underpass(*arguments, "--state", self.state), check=True, capture_output=True, text=True
        )
        return done.stdout

    def invite(self, name: str, *flags: str) -> str:
        return self.command("invite", name, "--url", self.process.url + self.prefix, *flags)


@contextlib.contextmanager
def server_in(folder: Path, *flags: str, prefix: str = "/files") -> Iterator[Server]:
    state = folder / "server"
    command = underpass("server", "--listen", "127.0.0.1:0", "--state", state, "--tls-self")
    command += ["--prefix", prefix, "--allow", "127.0.0.0/8", *flags]
    with listening_process(folder, "server", command) as process:
        yield Server(process, state, prefix)


@contextlib.contextmanager
def client_of(server: Server, folder: Path, invite: str, *flags: str) -> Iterator[ProxyProcess]:
    """A client with an HTTP front end, once its tunnel is up."""
    file = folder / "invite"
    file.write_text(invite)
    file.chmod(0o600)
    command = underpass("client", "--invite-file", file, "--http", "127.0.0.1:0", "--via", "none")
    command += ["--state", str(folder / "client"), *flags]
    with listening_process(folder, "client", command) as client:
        wait_until(lambda: "tunnel up" in client.output.read_text(), "the tunnel is up")
        yield client


def connects(client: ProxyProcess, target: str) -> str:
    """The status that a CONNECT through the tunnel is answered with; one that stands echoes."""
    with http_client(client.port) as one:
        status = one.tunnel(target).split(" ")[1]
        assert status != "200" or one.echoes()
        return status


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with server_in(tmp_path) as server:
        yield server


def test_an_invite_and_a_client_are_all_it_takes(server: Server, tmp_path: Path, echo: str) -> None:
    with client_of(server, tmp_path, server.invite("alice")) as client:
        assert connects(client, echo) == "200"
        assert f"TUNNEL {echo} 200 alice 127.0.0.1" in server.process.wait_for_line("TUNNEL")
    assert server.command("user", "list") == "alice keys:1\n"


def test_a_removed_user_is_out_within_a_second(server: Server, tmp_path: Path) -> None:
    with client_of(server, tmp_path, server.invite("alice")) as client:
        server.command("user", "remove", "alice")
        server.process.wait_for_line("the user was removed", seconds=1.0)
        assert client.process.wait(SOON) == 1
        client.wait_for_line("not known here")


def test_the_rules_of_a_user_hold_at_once(server: Server, tmp_path: Path, echo: str) -> None:
    with client_of(server, tmp_path, server.invite("alice")) as client:
        assert connects(client, echo) == "200"
        server.command("user", "rules", "alice", "--deny", "127.0.0.1")
        assert connects(client, echo) == "403"


def test_sigterm_ends_an_idle_server_with_its_sessions(server: Server, tmp_path: Path) -> None:
    with client_of(server, tmp_path, server.invite("alice")):
        server.process.process.send_signal(signal.SIGTERM)
        assert server.process.process.wait(SOON) == 0


def test_sigterm_lets_a_stream_go_on_until_it_ends(
    server: Server, tmp_path: Path, echo: str
) -> None:
    with client_of(server, tmp_path, server.invite("alice")) as client:
        with http_client(client.port) as one:
            assert one.tunnel(echo).startswith("HTTP/1.1 200")
            server.process.process.send_signal(signal.SIGTERM)
            wait_until(lambda: connects(client, echo) == "503", "no stream begins any more")
            assert one.echoes()
            assert server.process.process.poll() is None
        assert server.process.process.wait(SOON) == 0


def test_a_client_comes_back_to_a_server_that_was_started_anew(tmp_path: Path, echo: str) -> None:
    with contextlib.ExitStack() as stack:
        with server_in(tmp_path) as first:
            client = stack.enter_context(client_of(first, tmp_path, first.invite("alice")))
            assert connects(client, echo) == "200"
        command = underpass("server", "--listen", f"127.0.0.1:{first.process.port}")
        command += ["--state", str(first.state), "--tls-self", "--prefix", first.prefix]
        command += ["--allow", "127.0.0.0/8"]
        stack.enter_context(listening_process(tmp_path, "second", command))
        assert connects(client, echo) == "200"


def test_sighup_reads_rules_again_and_refuses_wrong_ones(tmp_path: Path, echo: str) -> None:
    config = tmp_path / "a.toml"
    config.write_text("[server]\n")
    with (
        server_in(tmp_path, "--config", str(config)) as server,
        client_of(server, tmp_path, server.invite("alice")) as client,
    ):
        assert connects(client, echo) == "200"
        config.write_text('[server]\ndeny = ["127.0.0.1"]\n')
        server.process.process.send_signal(signal.SIGHUP)
        server.process.wait_for_line("configuration reloaded")
        assert connects(client, echo) == "403"
        config.write_text("[server]\nprefix = 1\n")
        server.process.process.send_signal(signal.SIGHUP)
        server.process.wait_for_line("configuration not changed")


def test_health_is_told_beside_it_and_is_out_of_reach(tmp_path: Path) -> None:
    with server_in(tmp_path, "--metrics", "127.0.0.1:0") as server:
        port = server.process.metrics_port()
        assert health(port).startswith("HTTP/1.1 200")
        with client_of(server, tmp_path, server.invite("alice")) as client:
            assert connects(client, f"127.0.0.1:{port}") == "502"
            assert metric(port, "underpass_sessions_open") == 1


def test_no_secret_is_in_any_log_or_argument(server: Server, tmp_path: Path) -> None:
    invite = server.invite("alice")
    with client_of(server, tmp_path, invite) as client:
        for one in (server.process, client):
            said = one.log.read_text() + one.output.read_text()
            said += Path(f"/proc/{one.process.pid}/cmdline").read_text()
            assert invite.strip().removeprefix("underpass:")[40:80] not in said


def test_two_servers_do_not_share_an_address(server: Server, tmp_path: Path) -> None:
    with socket.create_connection(("127.0.0.1", server.process.port), SOON):
        command = underpass("server", "--listen", f"127.0.0.1:{server.process.port}")
        done = subprocess.run(
            [*command, "--state", tmp_path / "other"], capture_output=True, text=True, timeout=SOON
        )
    assert done.returncode == 2
    assert "can't listen on" in done.stderr
