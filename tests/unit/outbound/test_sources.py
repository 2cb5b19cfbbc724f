"""Proxies that nobody named: the environment's, the desktop's, none."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.address import Address
from underpass.carriers.server_url import ServerUrl
from underpass.errors import ConfigurationError, DialError, Failure
from underpass.net.stream import Stream
from underpass.outbound import sources
from underpass.outbound.pac_location import PacLocation
from underpass.outbound.sources import (
    Setting,
    automatic_chains,
    from_environment,
    from_system,
    parse_gnome,
)
from underpass.outbound.via import Chain, Via

Script = Callable[[str], None]

HTTP = ServerUrl.parse("http://tunnel.example")
HTTPS = ServerUrl.parse("https://tunnel.example")


async def nowhere(address: Address) -> Stream:
    raise DialError(Failure.CONNECTION_REFUSED)


@pytest.mark.parametrize(
    ("environ", "plain", "secure"),
    [
        ({}, None, None),
        ({"HTTP_PROXY": "http://p:1"}, "http://p:1", None),
        ({"HTTPS_PROXY": "http://p:1"}, None, "http://p:1"),
        ({"ALL_PROXY": "socks5h://p:1"}, "socks5h://p:1", "socks5h://p:1"),
        ({"all_proxy": "a:1", "https_proxy": "b:2"}, "a:1", "b:2"),
        ({"https_proxy": "low:1", "HTTPS_PROXY": "high:1"}, None, "low:1"),
        ({"https_proxy": "  ", "HTTPS_PROXY": "high:1"}, None, "high:1"),
        ({"HTTP_PROXY": "evil:1", "REQUEST_METHOD": "GET"}, None, None),
        ({"http_proxy": "good:1", "REQUEST_METHOD": "GET"}, "good:1", None),
    ],
)
def test_the_environment_names_a_proxy_for_each_scheme(
    environ: dict[str, str], plain: str | None, secure: str | None
) -> None:
    found = [from_environment(url, environ) for url in (HTTP, HTTPS)]
    assert [setting and setting.proxy for setting in found] == [plain, secure]


async def chains(environ: dict[str, str], url: ServerUrl = HTTPS) -> list[Chain]:
    return await automatic_chains(url, environ, nowhere)


async def test_the_direct_way_comes_after_a_proxy() -> None:
    proxy = Via("http", Address("p.example", 3128), "u", "p")
    assert await chains({"https_proxy": "http://u:p@p.example:3128"}) == [(proxy,), ()]
    assert await chains({"https_proxy": "u:p@p.example:3128"}) == [(proxy,), ()]


async def test_without_a_word_the_way_is_direct() -> None:
    assert await chains({}) == [()]


async def test_what_no_proxy_covers_is_reached_directly() -> None:
    environ = {"https_proxy": "http://p:1", "NO_PROXY": "10.0.0.0/8,.example"}
    assert await chains(environ) == [()]
    # An empty one does not hide the other spelling.
    assert await chains(environ | {"no_proxy": ""}) == [()]
    assert await chains(environ | {"no_proxy": "other"}) != [()]


async def test_a_variable_that_is_no_proxy_is_named_without_its_password() -> None:
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY: ") as caught:
        await chains({"HTTPS_PROXY": "ftp://u:sesame@p:1"})
    assert "sesame" not in str(caught.value)


@given(st.text(max_size=60))
def test_no_text_in_the_environment_breaks_anything(text: str) -> None:
    setting = from_environment(HTTPS, {"https_proxy": text, "no_proxy": text})
    assert setting is None or setting.proxy in (text.strip(), "")


# --- the desktop


GNOME = """\
org.gnome.system.proxy autoconfig-url 'http://wpad.example/proxy.pac'
org.gnome.system.proxy ignore-hosts ['localhost', '127.0.0.0/8', '.internal.example']
org.gnome.system.proxy mode 'MODE'
org.gnome.system.proxy.ftp host ''
org.gnome.system.proxy.ftp port 0
org.gnome.system.proxy.http authentication-password ''
org.gnome.system.proxy.http host 'plain.example'
org.gnome.system.proxy.http port uint32 8080
org.gnome.system.proxy.https host ''
org.gnome.system.proxy.https port 0
org.gnome.system.proxy.socks host '2001:db8::1'
org.gnome.system.proxy.socks port 1080
org.example.other mode 'manual'
broken
org.gnome.system.proxy broken @as [
"""
SOURCE = "the desktop's proxy settings"


@pytest.mark.parametrize(
    ("mode", "url", "setting"),
    [
        ("none", HTTP, None),
        ("manual", HTTP, Setting("http://plain.example:8080", source=SOURCE)),
        ("manual", HTTPS, Setting("socks5://[2001:db8::1]:1080", source=SOURCE)),
        ("manual", ServerUrl.parse("https://a.internal.example"), Setting(source=SOURCE)),
        ("auto", HTTP, Setting(pac="http://wpad.example/proxy.pac", source=SOURCE)),
    ],
)
def test_gnomes_settings_are_read(mode: str, url: ServerUrl, setting: Setting | None) -> None:
    assert parse_gnome(GNOME.replace("MODE", mode), url) == setting


@pytest.mark.parametrize(
    "text",
    [
        "",
        "org.gnome.system.proxy mode 'manual'",
        # To look for a PAC file on the network is what we never do.
        "org.gnome.system.proxy mode 'auto'\norg.gnome.system.proxy autoconfig-url ''",
    ],
)
def test_settings_that_name_nothing_are_none(text: str) -> None:
    assert parse_gnome(text, HTTP) is None


@pytest.fixture
def gsettings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Puts a program of that name into the path, as a shell script."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    program = tmp_path / "gsettings"

    def put(script: str) -> None:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o700)

    return put


def saying(mode: str) -> str:
    return f"cat <<'END'\n{GNOME.replace('MODE', mode)}END"


async def test_a_desktop_is_asked_where_there_is_one(gsettings: Script) -> None:
    gsettings(saying("manual"))
    [chain, direct] = await chains({"XDG_CURRENT_DESKTOP": "GNOME"}, HTTP)
    assert [proxy.name for proxy in chain] == ["plain.example:8080"]
    assert direct == ()
    assert await chains({}, HTTP) == [()]


async def test_a_pac_file_of_the_desktop_is_asked(
    gsettings: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    gsettings(saying("auto"))
    asked: list[str] = []

    async def pac_chains(location: PacLocation, url: ServerUrl, dial: object) -> list[Chain]:
        asked.append(str(location))
        return [()]

    monkeypatch.setattr("underpass.outbound.pac.pac_chains", pac_chains)
    assert await chains({"XDG_CURRENT_DESKTOP": "GNOME"}) == [()]
    assert asked == ["pac+http://wpad.example/proxy.pac"]


async def test_a_pac_file_at_a_strange_place_is_a_mistake_of_the_settings(
    gsettings: Script,
) -> None:
    gsettings(saying("auto").replace("http://wpad", "ftp://wpad"))
    with pytest.raises(ConfigurationError, match=SOURCE):
        await chains({"XDG_CURRENT_DESKTOP": "GNOME"})


async def test_a_desktop_that_hangs_is_not_waited_for(
    gsettings: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    gsettings("exec sleep 60")
    monkeypatch.setattr(sources, "SETTINGS_SECONDS", 0.05)
    assert await from_system(HTTP, {"XDG_CURRENT_DESKTOP": "GNOME"}) is None


async def test_other_systems_are_asked_by_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"https": "http://p.example:1"})
    monkeypatch.setattr("urllib.request.proxy_bypass", lambda host: host == "near.example")
    found = await from_system(HTTPS, {})
    assert found is not None
    assert found.proxy == "http://p.example:1"
    assert await from_system(HTTP, {}) is None
    assert await from_system(ServerUrl.parse("https://near.example"), {}) is None
