"""The adapters: what they write for their programs, without running them."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.processes import Running
from bench.programs import launch
from bench.programs.certificate import certificate_in
from bench.programs.launch import Launch
from bench.programs.tunnel_program import Place, TunnelProgram
from bench.programs.tunnels import CARRIERS_CUT, GOOD_NETWORK, REQUESTS_ONLY, TUNNELS
from bench.programs.xray import Transport, client_config, server_config, web_socket

SERVER = "127.0.0.1:4433"
# They ask their own programs for keys or an invite before they start.
NEED_THEIR_PROGRAM = ("underpass", "Xray", "ssh -D", "rathole")


@pytest.mark.parametrize("programs", [GOOD_NETWORK, CARRIERS_CUT], ids=["good", "cut"])
def test_every_row_is_one_program(programs: tuple[TunnelProgram, ...]) -> None:
    names = [program.name for program in programs]
    assert len(set(names)) == len(names)


def test_rows_of_one_name_say_the_same() -> None:
    remarks = {program.name: program.remark for program in REQUESTS_ONLY}
    assert all(program.remark == remarks[program.name] for program in REQUESTS_ONLY)


def test_scenarios_measure_tunnels_of_the_list() -> None:
    assert {*GOOD_NETWORK, *REQUESTS_ONLY} == set(TUNNELS)
    assert set(CARRIERS_CUT) <= set(TUNNELS)


@pytest.mark.parametrize(
    "program",
    [one for one in TUNNELS if not one.name.startswith(NEED_THEIR_PROGRAM)],
    ids=lambda program: program.name,
)
def test_ends_are_started_where_the_place_says(
    program: TunnelProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Launch] = []

    def note(self: Launch, address: str) -> Running:
        started.append(self)
        return Running(self.name, address, None)  # type: ignore[arg-type]  # nothing is started

    monkeypatch.setattr(launch.Launch, "start_listening", note)
    place = Place(tmp_path, "127.0.0.9", ("in", "client"), ("in", "server"))
    server = program.start_server(place, "127.0.0.1:7")
    client = program.start_client(place, SERVER, "127.0.0.1:7")
    assert server.address.startswith("127.0.0.9:")
    assert client.address.startswith("127.0.0.1:")
    assert [one.prefix for one in started] == [("in", "server"), ("in", "client")]
    assert any(SERVER in word for word in started[1].command)
    assert len({one.directory for one in started}) == 2


def test_place_gives_a_new_folder_each_time(tmp_path: Path) -> None:
    place = Place(tmp_path)
    assert [place.folder("client").name for _ in range(3)] == ["client", "client-1", "client-2"]


def test_certificate_is_made_once_and_its_key_is_private(tmp_path: Path) -> None:
    first = certificate_in(tmp_path, "127.0.0.1")
    written = first.key.read_bytes()
    assert certificate_in(tmp_path, "127.0.0.1") == first
    assert first.key.read_bytes() == written
    assert first.key.stat().st_mode & 0o077 == 0


def test_xray_checks_the_certificate_and_trusts_nobody_else(tmp_path: Path) -> None:
    transport = web_socket(certificate_in(tmp_path, "127.0.0.1"))
    config = client_config("127.0.0.1:1080", SERVER, "user", transport, mux=False)
    tls = config["outbounds"][0]["streamSettings"]["tlsSettings"]
    assert tls["disableSystemRoot"] is True
    assert tls["certificates"] == [
        {"usage": "verify", "certificateFile": str(tmp_path / "authority.pem")}
    ]
    assert "mux" not in config["outbounds"][0]


def test_xray_ends_agree_on_the_user_and_the_way() -> None:
    transport = Transport({"network": "xhttp"}, {"network": "xhttp"}, "secret", "public")
    server = server_config(SERVER, "user", transport)["inbounds"][0]
    client = client_config("127.0.0.1:1080", SERVER, "user", transport, mux=True)["outbounds"][0]
    to = client["settings"]["vnext"][0]
    assert (server["listen"], server["port"]) == (to["address"], to["port"]) == ("127.0.0.1", 4433)
    assert server["settings"] == {"clients": [{"id": "user"}], "decryption": "secret"}
    assert to["users"] == [{"id": "user", "encryption": "public"}]
    assert server["streamSettings"] == client["streamSettings"]
    assert client["mux"]["enabled"] is True
