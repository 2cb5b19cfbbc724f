"""SIGHUP: what changes, what is refused, and that no tunnel is dropped over it."""

from __future__ import annotations

import signal
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.operations.client import client
from tests.origins import Authority
from tests.real.conftest import StartProxy
from tests.real.processes import ProxyProcess, wait_until

pytestmark = pytest.mark.slow

UserCommand = Callable[..., str]


@dataclass
class Configured:
    """A proxy that goes by a file, and the file."""

    proxy: ProxyProcess
    file: Path
    reloads: int = 0
    workers: int = 1

    def change(self, text: str) -> None:
        """Write other options and wait until they hold."""
        self.file.write_text(text)
        self.reload()

    def reload(self) -> None:
        self.reloads += self.workers
        self.proxy.process.send_signal(signal.SIGHUP)
        self.proxy.wait_for_line("configuration reloaded", self.reloads)

    def refused(self, text: str, count: int = 1) -> str:
        """Write options that are wrong; the line that says why they are not taken."""
        self.file.write_text(text)
        self.proxy.process.send_signal(signal.SIGHUP)
        return self.proxy.wait_for_line("configuration not changed", count)


OPEN = '[proxy]\nlisten = ["127.0.0.1:0"]\nallow = ["127.0.0.0/8"]\n'
SHUT = '[proxy]\nlisten = ["127.0.0.1:0"]\n'


@pytest.fixture
def configure(start_proxy: StartProxy, tmp_path: Path) -> Callable[..., Configured]:
    def start(text: str = OPEN, workers: int = 1) -> Configured:
        file = tmp_path / "underpass.toml"
        file.write_text(text)
        proxy = start_proxy("--config", file, "--workers", str(workers))
        return Configured(proxy, file, workers=workers)

    return start


def status(port: int, target: str, *fields: str) -> str:
    """The status that a new client gets for a tunnel."""
    with client(port) as one:
        return one.tunnel(target, *fields).split(" ")[1]


@pytest.mark.parametrize("workers", [1, 2], ids=["one process", "workers"])
def test_new_rules_hold_for_new_tunnels_and_leave_open_ones_alone(
    configure: Callable[..., Configured], echo: str, workers: int
) -> None:
    mine = configure(workers=workers)
    port = mine.proxy.port
    with client(port) as tunnel:
        assert tunnel.tunnel(echo).startswith("HTTP/1.1 200")
        mine.change(SHUT)
        # Enough for each worker to be asked.
        assert {status(port, echo) for _ in range(8)} == {"403"}
        assert tunnel.echoes()
        mine.change(OPEN)
        assert {status(port, echo) for _ in range(8)} == {"200"}
        assert tunnel.echoes()


def test_new_rules_hold_for_the_next_request_of_an_old_client(
    configure: Callable[..., Configured], echo: str
) -> None:
    mine = configure()
    with client(mine.proxy.port) as one:
        assert "403" in one.get("10.1.2.3/")[0]
        mine.change(SHUT.replace("listen", 'deny = ["*"]\nlisten'))
        head, body = one.get("example.com/")
        assert "403" in head
        assert b"example.com" in body


WRONG = {
    "not TOML": ("[proxy\n", "not TOML"),
    "unknown key": (OPEN + "denny = []\n", "proxy.denny: unknown option; did you mean deny?"),
    "wrong type": (OPEN + 'workers = "two"\n', "proxy.workers: expected a whole number"),
    "bad rule": (OPEN.replace("/8", "/99"), "proxy.allow: '127.0.0.0/99'"),
    "open proxy": (OPEN.replace("127.0.0.1", "0.0.0.0"), "set auth to basic"),
    "unreadable certificate": (
        OPEN + 'tls_cert = "missing.pem"\ntls_key = "missing.key"\n',
        "tls_cert",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_configuration_is_refused_with_its_reason_and_the_old_one_stays(
    configure: Callable[..., Configured], echo: str, case: str
) -> None:
    mine = configure()
    text, reason = WRONG[case]
    with client(mine.proxy.port) as tunnel:
        assert tunnel.tunnel(echo).startswith("HTTP/1.1 200")
        assert reason in mine.refused(text)
        assert tunnel.echoes()
    assert status(mine.proxy.port, echo) == "200"
    mine.change(SHUT)
    assert status(mine.proxy.port, echo) == "403"


def test_wrong_configuration_reaches_no_worker(
    configure: Callable[..., Configured], echo: str
) -> None:
    mine = configure(workers=2)
    text, reason = WRONG["unreadable certificate"]
    assert reason in mine.refused(text)
    mine.change(SHUT)
    assert {status(mine.proxy.port, echo) for _ in range(8)} == {"403"}
    assert "\n".join(mine.proxy.lines()).count("configuration not changed") == 1


def test_vanished_file_is_refused_with_its_name(configure: Callable[..., Configured]) -> None:
    mine = configure()
    mine.file.unlink()
    mine.proxy.process.send_signal(signal.SIGHUP)
    assert str(mine.file) in mine.proxy.wait_for_line("configuration not changed")


def test_options_that_need_a_restart_are_named(configure: Callable[..., Configured]) -> None:
    mine = configure()
    mine.change(OPEN.replace(":0", ":1") + 'identity = "other"\n')
    mine.proxy.wait_for_line("a change of listen takes effect at the next start")
    mine.proxy.wait_for_line("a change of identity takes effect at the next start")


def test_users_change_without_a_reload(
    start_proxy: StartProxy, user_command: UserCommand, state: Path, echo: str
) -> None:
    # By tokens, as each change has everybody's password checked anew, which is slow on purpose.
    def bearer(name: str) -> str:
        return f"Proxy-Authorization: Bearer {user_command('token', name).strip()}"

    user_command("add", "alice", stdin="wonder\n")
    alice = bearer("alice")
    proxy = start_proxy("--allow", "127.0.0.0/8", "--auth", "basic", "--state", state)
    with client(proxy.port) as tunnel:
        assert tunnel.tunnel(echo, alice).startswith("HTTP/1.1 200")
        user_command("add", "bob", stdin="builder\n")
        bob = bearer("bob")
        assert status(proxy.port, echo, bob) == "200"
        user_command("rules", "bob", "--deny", "*")
        assert status(proxy.port, echo, bob) == "403"
        user_command("rules", "bob", "--clear")
        assert status(proxy.port, echo, bob) == "200"
        assert status(proxy.port, echo, bearer("bob")) == "200"
        assert status(proxy.port, echo, bob) == "407"
        user_command("remove", "alice")
        assert status(proxy.port, echo, alice) == "407"
        assert tunnel.echoes()


def certificate_of(port: int, authority: Authority) -> bytes | None:
    """The certificate that a listener shows, for a client of this authority."""
    context = authority.client_context()
    with (
        socket.create_connection(("127.0.0.1", port), 10) as sock,
        context.wrap_socket(sock, server_hostname="127.0.0.1") as secured,
    ):
        return secured.getpeercert(binary_form=True)


@pytest.fixture
def other_authority(tmp_path: Path) -> Authority:
    folder = tmp_path / "other"
    folder.mkdir()
    return Authority.create(folder)


def test_new_certificate_is_shown_to_new_clients_and_a_broken_one_to_nobody(
    start_proxy: StartProxy,
    authority: Authority,
    other_authority: Authority,
    echo: str,
    tmp_path: Path,
) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes(authority.cert_file.read_bytes())
    key.write_bytes(authority.key_file.read_bytes())
    proxy = start_proxy("--allow", "127.0.0.0/8", "--tls-cert", cert, "--tls-key", key)
    old = certificate_of(proxy.port, authority)
    with client(proxy.port, tls=authority.client_context()) as tunnel:
        assert tunnel.tunnel(echo).startswith("HTTP/1.1 200")
        cert.write_bytes(other_authority.cert_file.read_bytes())
        proxy.process.send_signal(signal.SIGHUP)
        assert "not the key that belongs to" in proxy.wait_for_line("configuration not changed")
        assert certificate_of(proxy.port, authority) == old
        key.write_bytes(other_authority.key_file.read_bytes())
        proxy.process.send_signal(signal.SIGHUP)
        proxy.wait_for_line("configuration reloaded")
        assert certificate_of(proxy.port, other_authority) != old
        with pytest.raises(ssl.SSLCertVerificationError):
            certificate_of(proxy.port, authority)
        assert tunnel.echoes()


def test_log_file_is_opened_anew(start_proxy: StartProxy, echo: str, tmp_path: Path) -> None:
    log, moved = tmp_path / "underpass.log", tmp_path / "underpass.log.1"
    proxy = start_proxy("--allow", "127.0.0.0/8", "--log-file", log)
    assert status(proxy.port, echo) == "200"
    proxy.log = log
    proxy.wait_for_line("CONNECT")
    log.rename(moved)
    proxy.process.send_signal(signal.SIGHUP)
    wait_until(log.exists, "the log is opened anew")
    proxy.wait_for_line("configuration reloaded")
    assert status(proxy.port, echo) == "200"
    proxy.wait_for_line("CONNECT")
    assert moved.read_text().count("CONNECT") == 1
    assert log.stat().st_mode & 0o007 == 0
