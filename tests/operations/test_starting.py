"""Starting and not starting: what is printed, and every exit code."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.operations.client import client
from tests.operations.programs import run
from tests.real.conftest import StartProxy

pytestmark = pytest.mark.slow

SECONDS = 20


def test_every_listener_is_printed_with_its_port(start_proxy: StartProxy, tmp_path: Path) -> None:
    path = tmp_path / "proxy.sock"
    proxy = start_proxy("--listen", "127.0.0.1:0", "--listen", "[::1]:0", f"--listen=unix:{path}")
    first, second, third = proxy.listening
    assert re.fullmatch(r"http://127\.0\.0\.1:[1-9][0-9]+", first)
    assert re.fullmatch(r"http://\[::1\]:[1-9][0-9]+", second)
    assert third == f"unix:{path}"


def test_unix_socket_is_its_owners_and_goes_with_the_proxy(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    path = tmp_path / "proxy.sock"
    for workers in ("1", "2"):
        proxy = start_proxy("--listen", f"unix:{path}", "--workers", workers)
        assert path.stat().st_mode & 0o777 == 0o600
        proxy.process.send_signal(signal.SIGTERM)
        assert proxy.process.wait(SECONDS) == 0
        assert not path.exists()


def test_unix_socket_of_a_killed_proxy_is_taken_over(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    path = tmp_path / "proxy.sock"
    killed = start_proxy("--listen", f"unix:{path}")
    killed.process.kill()
    killed.process.wait(SECONDS)
    assert path.exists()
    start_proxy("--listen", f"unix:{path}")
    code, _, errors = run("proxy", "--listen", f"unix:{path}")
    assert (code, "in use" in errors) == (2, True)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_address_in_use_is_named(start_proxy: StartProxy, workers: str) -> None:
    taken = start_proxy().name
    code, output, errors = run("proxy", "--listen", taken, "--workers", workers)
    assert (code, output) == (2, "")
    assert errors == (
        f"underpass: can't listen on {taken}: Address already in use; "
        "stop what listens there, or choose another address\n"
    )


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:3128"])
def test_listener_that_others_can_reach_is_refused_without_users(address: str) -> None:
    code, output, errors = run("proxy", "--listen", address)
    assert (code, output) == (2, "")
    assert "can be reached by other machines" in errors
    assert "set auth to basic and add users with `underpass user add NAME`" in errors
    assert "127.0.0.1" in errors


def test_address_of_metrics_in_use_is_named(start_proxy: StartProxy) -> None:
    taken = start_proxy().name
    for workers in ("1", "2"):
        flags = ("--listen", "127.0.0.1:0", "--metrics", taken, "--workers", workers)
        code, output, errors = run("proxy", *flags)
        assert (code, output) == (2, "")
        assert f"can't listen on {taken}: Address already in use" in errors


def test_store_without_users_is_told_of_at_the_start(start_proxy: StartProxy, state: Path) -> None:
    proxy = start_proxy("--auth", "basic", "--state", state)
    assert "underpass user add NAME" in proxy.wait_for_line(f"there are no users in {state}")


def test_listener_that_others_can_reach_starts_with_users(
    start_proxy: StartProxy, user_command: Callable[..., str], state: Path
) -> None:
    user_command("add", "alice", stdin="wonder\n")
    proxy = start_proxy("--listen", "0.0.0.0:0", "--auth", "basic", "--state", state)
    with client(proxy.port) as one:
        assert "407" in one.get("example.com/")[0]


# Exit codes, as docs/configuration.md has them. 0 and 130 of a proxy are with the signals.


def test_0_for_what_was_done(state: Path, tmp_path: Path) -> None:
    file = tmp_path / "underpass.toml"
    file.write_text("[proxy]\nworkers = 2\n")
    for arguments in (
        ("--help",),
        ("--version",),
        ("proxy", "--help"),
        ("config", "check", file),
        ("user", "list", "--state", state),
    ):
        code, output, errors = run(*arguments)
        assert (code, errors) == (0, ""), arguments
        assert output or arguments[0] == "user"


def test_1_for_what_failed(state: Path) -> None:
    for action in ("remove", "passwd", "token", "rules"):
        code, output, errors = run("user", action, "nobody", "--state", state, stdin="secret\n")
        assert (code, output, errors) == (1, "", "underpass: there is no user nobody\n")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("prox",),
        ("proxy", "--nope"),
        ("proxy", "--listen", "nonsense"),
        ("proxy", "--workers", "two"),
        ("proxy", "--config", "/nonexistent.toml"),
        ("proxy", "--metrics", "nonsense"),
        ("user", "add"),
        ("user", "add", "a", "--state", "/dev/null/x"),
        ("config", "check", "/nonexistent.toml"),
    ],
    ids=" ".join,
)
def test_2_for_what_is_wrong(arguments: tuple[str, ...]) -> None:
    refuses(*arguments)


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    "flags",
    [
        ("--tls-cert", "/nonexistent.pem", "--tls-key", "/nonexistent.key"),
        ("--log-file", "/nonexistent/log"),
        ("--auth", "basic", "--state", "/dev/null/x"),
        ("--via", "http://me@127.0.0.1:1", "--via-password-file", "/nonexistent"),
    ],
    ids=" ".join,
)
def test_2_for_a_file_that_cannot_be_used(flags: tuple[str, ...], workers: str) -> None:
    errors = refuses("proxy", "--listen", "127.0.0.1:0", "--workers", workers, *flags)
    assert flags[-1] in errors or flags[1] in errors
    assert len(errors.splitlines()) == 1


def refuses(*arguments: str) -> str:
    """Run a command that is to end with 2; what it says."""
    code, output, errors = run(*arguments)
    assert (code, output) == (2, "")
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith("underpass")
    return errors
