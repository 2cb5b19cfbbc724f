"""A canary for every secret: none is seen where others look."""

from __future__ import annotations

import base64
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.operations.client import client
from tests.operations.programs import children, run
from tests.real.conftest import StartProxy
from tests.real.processes import ProxyProcess, free_port

pytestmark = pytest.mark.slow

PASSWORD = "canary-of-alice"
WRONG = "canary-mistyped"
UPSTREAM = "canary-of-the-way"
CANARIES = (
    "canary",
    *(base64.b64encode(b"alice:" + w.encode()).decode() for w in (PASSWORD, WRONG)),
)


def canaries_in(text: str) -> list[str]:
    return [canary for canary in CANARIES if canary in text]


def processes(proxy: ProxyProcess) -> list[int]:
    return [proxy.process.pid, *children(proxy.process.pid)]


def credentials(password: str) -> str:
    return "Proxy-Authorization: Basic " + base64.b64encode(f"alice:{password}".encode()).decode()


@pytest.fixture
def token(user_command: Callable[..., str]) -> str:
    """A user's token, once there is the user."""
    user_command("add", "alice", stdin=PASSWORD + "\n")
    return user_command("token", "alice").strip()


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_clients_give_is_in_no_log_and_no_answer(
    start_proxy: StartProxy, state: Path, token: str, echo: str, form: str
) -> None:
    proxy = start_proxy(
        *("--allow", "127.0.0.0/8", "--auth", "basic", "--state", state, "--log", form)
    )
    answers = []
    for field in (
        credentials(PASSWORD),
        credentials(WRONG),
        f"Proxy-Authorization: Bearer {token}",
        f"Proxy-Authorization: Bearer {token}x",
        f"Proxy-Authorization: Digest {PASSWORD}",
    ):
        with client(proxy.port) as one:
            answers.append(one.tunnel(echo, field))
            answers.append("" if " 200 " in answers[-1] else one.rest().decode())
        with client(proxy.port) as one:
            head, body = one.get(f"user:{PASSWORD}@10.1.2.3/{WRONG}?{token}", field)
            answers += [head, body.decode()]
    proxy.process.send_signal(signal.SIGHUP)
    proxy.wait_for_line("configuration reloaded")
    seen = "\n".join([*proxy.lines(), *answers])
    assert seen.count(" 200 ") + seen.count(":200,") >= 2
    assert token not in seen
    assert canaries_in(seen) == []


def test_upstream_password_of_a_file_is_nowhere_else(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(UPSTREAM + "\n")
    secret.chmod(0o600)
    proxy = start_proxy(
        *("--via", f"http://me@127.0.0.1:{free_port()}", "--via-password-file", secret),
        *("--workers", "2"),
    )
    with client(proxy.port) as one:
        head, body = one.get("example.com/")
        assert "502" in head
    seen = [head, body.decode(), *proxy.lines()]
    for process in processes(proxy):
        seen += [Path(f"/proc/{process}/{name}").read_text() for name in ("cmdline", "environ")]
    assert canaries_in("\n".join(seen)) == []


def test_upstream_password_of_the_environment_stays_out_of_command_lines(
    start_proxy: StartProxy,
) -> None:
    proxy = start_proxy(
        *("--via", f"http://me@127.0.0.1:{free_port()}", "--workers", "2"),
        UNDERPASS_VIA_PASSWORD=UPSTREAM,
    )
    with client(proxy.port) as one:
        head, body = one.get("example.com/")
        assert "502" in head
    lines = [Path(f"/proc/{process}/cmdline").read_text() for process in processes(proxy)]
    assert len(lines) == 3
    assert canaries_in("\n".join([head, body.decode(), *proxy.lines(), *lines])) == []


def test_configuration_is_shown_without_its_passwords(tmp_path: Path) -> None:
    file = tmp_path / "underpass.toml"
    file.write_text(f'[proxy]\nvia = "http://me:{UPSTREAM}@127.0.0.1:1"\n')
    file.chmod(0o600)
    code, output, errors = run("config", "check", file)
    assert code == 0
    assert 'via = "http://me:***@127.0.0.1:1"' in output
    assert canaries_in(output + errors) == []


def test_store_holds_neither_password_nor_token(state: Path, token: str) -> None:
    kept = b"".join(path.read_bytes() for path in state.iterdir())
    assert b"alice" in kept
    assert PASSWORD.encode() not in kept
    assert token.encode() not in kept
    assert {path.stat().st_mode & 0o777 for path in state.iterdir()} == {0o600}
