"""`underpass server`: what it passes on, and what it refuses."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from underpass import cli
from underpass.errors import ConfigurationError
from underpass.server.user_store import SqliteUserStore, User
from underpass.server_options import ServerOptions


class StartedServer:
    """Stands where a server would run, and remembers how it was started."""

    def __init__(self) -> None:
        self.load: Callable[[], ServerOptions] = ServerOptions

    def run_server(self, load: Callable[[], ServerOptions]) -> int:
        self.load = load
        return 0


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> StartedServer:
    server = StartedServer()
    app = types.ModuleType("underpass.app")
    monkeypatch.setattr(app, "run_server", server.run_server, raising=False)
    monkeypatch.setitem(sys.modules, "underpass.app", app)
    monkeypatch.setenv("UNDERPASS_STATE", "state")
    return server


def test_server_reads_flags_environment_and_file(
    server: StartedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "a.toml"
    file.write_text('[server]\nlog = "json"\nprefix = "/file"\n')
    monkeypatch.setenv("UNDERPASS_PREFIX", "/environment")
    argv = ["server", "--config", str(file), "--listen", "0.0.0.0:0", "--tls-self"]
    assert cli.main([*argv, "--allow", "a.test", "--allow", "b.test", "--deny", "*"]) == 0
    options = server.load()
    assert (options.log, options.prefix, options.tls_self) == ("json", "/environment", True)
    assert [str(address) for address in options.listen] == ["0.0.0.0:0"]
    assert [str(rule) for rule in options.rules] == ["a.test", "b.test", "*"]


def test_server_can_read_its_options_again(server: StartedServer, tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("")
    assert cli.main(["server", "--config", str(file)]) == 0
    file.write_text("[server.limits]\nmax_sessions = 3\n")
    assert server.load().limits.max_sessions == 3
    file.write_text('[server]\ntls_cert = "none.pem"\ntls_key = "none.pem"\n')
    with pytest.raises(ConfigurationError, match=r"none\.pem"):
        server.load()


def test_a_wrong_option_ends_with_2_and_the_reason(
    server: StartedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["server", "--prefix", "files"]) == 2
    assert capsys.readouterr().err == (
        "underpass: command line: --prefix: expected a path such as /files, of letters, digits,"
        " '-', '_' and '~'\n"
    )


def test_a_server_without_users_says_how_to_invite_one(
    server: StartedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["server"]) == 0
    assert "underpass invite NAME --url URL" in capsys.readouterr().err
    SqliteUserStore(Path("state")).add(User("alice"))
    assert cli.main(["server"]) == 0
    assert capsys.readouterr().err == ""
