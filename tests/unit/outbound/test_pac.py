"""PAC files: where they are, how they are fetched and run, what they say."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.outbound.parents import Script
from tests.unit.outbound.relaying import server
from underpass.carriers.server_url import ServerUrl
from underpass.errors import ConfigurationError, DialError
from underpass.net.resolve import Resolver
from underpass.outbound import pac
from underpass.outbound.direct import Direct
from underpass.outbound.pac import (
    MAX_BYTES,
    MAX_WAYS,
    fetch,
    pac_chains,
    parse_found,
    run,
)
from underpass.outbound.pac_location import PacLocation

URL = ServerUrl.parse("https://tunnel.example/secret-prefix")
DIRECT = "function FindProxyForURL(url, host) { return 'DIRECT'; }"
DIAL = Direct(Resolver(1.0, lambda host: ["127.0.0.1"])).open


# --- what it says


@pytest.mark.parametrize(
    ("found", "names"),
    [
        ("DIRECT", ["direct"]),
        ("", ["direct"]),
        ("PROXY a:1; SOCKS b:2; DIRECT", ["a:1", "socks5 b:2", "direct"]),
        ("https a:1;SOCKS5  b:2 ;; http c:3;", ["https a:1", "socks5 b:2", "c:3"]),
        ("PROXY a:1; PROXY a:1; direct", ["a:1", "direct"]),
        ("SOCKS4 a:1; PROXY ; QUIC b:1; PROXY [2001:db8::1]:8080", ["[2001:db8::1]:8080"]),
        ("PROXY a", ["a:80"]),
    ],
)
def test_a_list_is_kept_in_its_order(found: str, names: list[str]) -> None:
    chains = parse_found(found, "it")
    assert [chain[0].name if chain else "direct" for chain in chains] == names


def test_a_list_of_nothing_that_can_be_used_is_told() -> None:
    with pytest.raises(ConfigurationError, match="it: names no proxy"):
        parse_found("SOCKS4 a:1; nonsense", "it")


def test_a_long_list_is_cut() -> None:
    assert len(parse_found(";".join(f"PROXY p:{n}" for n in range(1, 50)), "it")) == MAX_WAYS


@given(st.text(max_size=200))
def test_any_list_is_read_or_refused(found: str) -> None:
    try:
        chains = parse_found(found, "it")
    except ConfigurationError:
        return
    assert 1 <= len(chains) <= MAX_WAYS


# --- running it


@pytest.mark.slow
async def test_a_script_is_run_with_the_url_and_host() -> None:
    script = "function FindProxyForURL(url, host) { return 'PROXY ' + host + ':1;' + url; }"
    found = await run(script, URL, "it")
    # The path of the server is nobody else's to know, not even a script's.
    assert found == "PROXY tunnel.example:1;https://tunnel.example/"


@pytest.mark.slow
async def test_a_script_that_loops_is_ended_within_two_seconds() -> None:
    began = time.monotonic()
    with pytest.raises(ConfigurationError, match="it: takes longer"):
        await run("function FindProxyForURL() { while (true); }", URL, "it")
    assert time.monotonic() - began < 2.5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("function FindProxyForURL() { var a = []; while (1) a.push('x'.repeat(1e6)); }", "it: "),
        ("function FindProxyForURL() { return 1; }", "returned no list"),
        ("syntax error(", "it: SyntaxError"),
        ("", "it: ReferenceError"),
    ],
)
async def test_a_script_that_fails_is_told(script: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        await run(script, URL, "it")


async def test_without_the_interpreter_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"install underpass\[pac\]"):
        await pac_chains(PacLocation.parse("/proxy.pac"), URL, DIAL)


@pytest.mark.slow
async def test_a_file_is_read_and_its_list_followed(tmp_path: Path) -> None:
    file = tmp_path / "proxy.pac"
    file.write_text("function FindProxyForURL() { return 'PROXY p.example:3128; DIRECT'; }")
    [chain, direct] = await pac_chains(PacLocation.parse(f"pac+file://{file}"), URL, DIAL)
    assert [proxy.name for proxy in chain] == ["p.example:3128"]
    assert direct == ()


# --- fetching it


def answering(*answers: bytes) -> Script:
    waiting = list(answers)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(waiting.pop(0))

    return script


def found(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def moved(place: bytes) -> bytes:
    return b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: %s\r\n\r\n" % place


async def fetched(*answers: bytes) -> str:
    async with server(answering(*answers)) as port:
        return await fetch(PacLocation(f"http://wpad.example:{port}/a.pac"), DIAL)


async def failure(*answers: bytes) -> str:
    async with server(answering(*answers)) as port:
        with pytest.raises((DialError, ConfigurationError)) as caught:
            await fetch(PacLocation(f"http://wpad.example:{port}/a.pac"), DIAL)
    return str(caught.value)


async def test_it_is_fetched_over_http() -> None:
    assert await fetched(found(DIRECT.encode())) == DIRECT


async def test_a_redirect_to_the_same_host_is_followed() -> None:
    assert await fetched(moved(b"/b.pac"), moved(b"c.pac?d"), found(b"x")) == "x"


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([moved(b"http://other.example/a.pac")], "at another host, other.example"),
        ([moved(b"ftp://wpad.example/a.pac")], "expected http://"),
        ([moved(b"/a")] * 4, "again and again"),
        ([b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"], "no PAC file: HTTP 404"),
        ([b"HTTP/1.1 302 No\r\nContent-Length: 0\r\n\r\n"], "no PAC file: HTTP 302"),
        ([b"nonsense\r\n\r\n"], "wpad.example"),
    ],
)
async def test_what_does_not_come_is_told(answers: list[bytes], said: str) -> None:
    assert said in await failure(*answers)


async def test_one_that_is_too_long_is_refused(tmp_path: Path) -> None:
    assert "longer than" in await failure(found(b" " * (MAX_BYTES + 1)))
    file = tmp_path / "long.pac"
    file.write_bytes(b" " * (MAX_BYTES + 1))
    with pytest.raises(ConfigurationError, match="longer than"):
        await fetch(PacLocation(path=file), DIAL)


async def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.pac: No such file"):
        await fetch(PacLocation(path=tmp_path / "none.pac"), DIAL)


async def test_a_server_that_says_nothing_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    monkeypatch.setattr(pac, "FETCH_SECONDS", 0.05)
    async with server(silent) as port:
        with pytest.raises(DialError, match=r"did not come|no answer"):
            await fetch(PacLocation(f"http://wpad.example:{port}/a.pac"), DIAL)
