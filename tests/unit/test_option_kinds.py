"""What several commands' options share: paths, listeners, where the state is."""

from __future__ import annotations

from pathlib import Path

import pytest

from underpass.address import ListenAddress
from underpass.errors import ConfigurationError
from underpass.option_kinds import PATH, check_no_listener_twice, default_state

ANY_PORT = ListenAddress("127.0.0.1", 0)
SOME = ListenAddress("127.0.0.1", 80)
SOCKET = ListenAddress(None, 0, "/run/a.sock")


def test_a_path_may_begin_at_home() -> None:
    assert PATH.parse is not None
    assert PATH.parse("~/a") == Path("~/a").expanduser()


@pytest.mark.parametrize("text", ["", "a\0b"])
def test_what_is_no_path_is_refused(text: str) -> None:
    assert PATH.parse is not None
    with pytest.raises(ValueError, match="expected a path"):
        PATH.parse(text)


@pytest.mark.parametrize("twice", [SOME, SOCKET])
def test_one_listener_stands_there_once(twice: ListenAddress) -> None:
    check_no_listener_twice("listen", [SOME, SOCKET, ANY_PORT, ANY_PORT])
    with pytest.raises(ConfigurationError, match="socks, http: the same address twice"):
        check_no_listener_twice("socks, http", [ANY_PORT, twice, twice])


@pytest.mark.parametrize(
    ("variable", "state"),
    [("/srv/state", Path("/srv/state/underpass")), ("", Path("~/.local/state/underpass"))],
)
def test_the_state_is_kept_where_the_system_says(
    monkeypatch: pytest.MonkeyPatch, variable: str, state: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", variable)
    assert default_state() == state.expanduser()
