"""What worked is remembered for each network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from underpass.client import network
from underpass.client.network import MAX_NETWORKS, NetworkMemory, Worked, local_network

POLL = Worked("poll, direct")


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where the machine is; to be changed."""
    here = ["10.1.2.0/24"]
    monkeypatch.setattr(network, "local_network", lambda: here[0])
    return here


def memory(tmp_path: Path, server: str = "http://t.example", via: str = "auto") -> NetworkMemory:
    return NetworkMemory(tmp_path / "state" / "networks.json", server, via)


def test_what_worked_is_recalled_in_the_same_network_alone(
    tmp_path: Path, place: list[str]
) -> None:
    assert memory(tmp_path).recall() is None
    memory(tmp_path).remember(POLL)
    assert memory(tmp_path).recall() == POLL
    assert memory(tmp_path, server="http://u.example").recall() is None
    assert memory(tmp_path, via="none").recall() is None
    place[0] = "192.168.0.0/24"
    assert memory(tmp_path).recall() is None
    memory(tmp_path).remember(Worked("websocket, direct"))
    place[0] = "10.1.2.0/24"
    assert memory(tmp_path).recall() == POLL


def test_the_file_does_not_tell_where_somebody_has_been(tmp_path: Path, place: list[str]) -> None:
    memory(tmp_path).remember(POLL)
    text = (tmp_path / "state" / "networks.json").read_text()
    assert "t.example" not in text
    assert place[0] not in text


def test_the_network_not_met_for_longest_makes_room(tmp_path: Path, place: list[str]) -> None:
    for number in range(MAX_NETWORKS + 1):
        place[0] = f"10.1.{number}.0/24"
        memory(tmp_path).remember(POLL)
    known = json.loads((tmp_path / "state" / "networks.json").read_text())
    assert len(known) == MAX_NETWORKS
    place[0] = "10.1.0.0/24"
    assert memory(tmp_path).recall() is None


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '{"a": 1}', '{"a": {"carrier": 1}}', '"x"'])
def test_a_broken_file_is_forgotten(text: str, tmp_path: Path, place: list[str]) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "networks.json").write_text(text)
    assert memory(tmp_path).recall() is None
    memory(tmp_path).remember(POLL)
    assert memory(tmp_path).recall() == POLL


def test_refused_methods_are_remembered_beside_it(tmp_path: Path, place: list[str]) -> None:
    worked = Worked("poll, direct", frozenset({"PUT", "DELETE"}))
    memory(tmp_path).remember(worked)
    assert memory(tmp_path).recall() == worked
    place[0] = "192.168.0.0/24"
    memory(tmp_path).remember(POLL)
    assert memory(tmp_path).recall() == POLL


@pytest.mark.parametrize(
    ("value", "refused"),
    [
        # As versions wrote it that remembered no methods.
        ("poll, direct", frozenset()),
        ({"carrier": "poll, direct"}, frozenset()),
        ({"carrier": "poll, direct", "refused": ["PUT"]}, frozenset({"PUT"})),
        # Without these nothing could be carried: no file says so.
        ({"carrier": "poll, direct", "refused": ["GET", "POST", 1, ["PUT"]]}, frozenset()),
        ({"carrier": "poll, direct", "refused": "PUT"}, frozenset()),
        ({"carrier": "poll, direct", "refused": 1}, frozenset()),
    ],
)
def test_only_methods_that_post_stands_for_are_believed(
    value: object, refused: frozenset[str], tmp_path: Path, place: list[str]
) -> None:
    memory(tmp_path).remember(POLL)
    path = tmp_path / "state" / "networks.json"
    [key] = json.loads(path.read_text())
    path.write_text(json.dumps({key: value}))
    assert memory(tmp_path).recall() == Worked("poll, direct", refused)


def test_what_cannot_be_written_is_not_remembered(tmp_path: Path, place: list[str]) -> None:
    (tmp_path / "state").touch()
    memory(tmp_path).remember(POLL)
    assert memory(tmp_path).recall() is None


def test_this_machine_is_in_a_network_or_in_none() -> None:
    assert local_network() == "" or "/" in local_network()
