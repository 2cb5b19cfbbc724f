"""A profile for the client's commands, and stand-ins for what they run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from underpass.client import profile
from underpass.client.profile import ClientSetup, Profile
from underpass.client.tunnel import Passage
from underpass.protocol.invite import Invite

INVITE = Invite("http://t.example/", b"\x01" * 32, "alice", b"\x02" * 16)


@dataclass
class Ran:
    """What a command would have run."""

    setups: list[ClientSetup] = field(default_factory=list)
    profiles: list[Profile] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)
    rest: list[object] = field(default_factory=list)

    def client(self, load: Callable[[], ClientSetup]) -> int:
        self.setups.append(load())
        return 0

    def program(self, setup: ClientSetup, command: list[str]) -> int:
        self.setups.append(setup)
        self.rest.append(command)
        return 7

    def stdio(self, one: Profile, passage: Passage, address: object) -> int:
        self.profiles.append(one)
        self.passages.append(passage)
        self.rest.append(address)
        return 0


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ran:
    """Nothing is run, and all files are below a folder of the test's."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    ran = Ran()
    monkeypatch.setattr("underpass.client_app.run_client", ran.client)
    monkeypatch.setattr("underpass.client_run.run_program", ran.program)
    monkeypatch.setattr("underpass.client_stdio.run_stdio", ran.stdio)
    return ran


def keep(name: str) -> Path:
    """Keep a profile of this name."""
    return profile.join(INVITE, profile.path_of(name, profile.profiles_folder())).path
