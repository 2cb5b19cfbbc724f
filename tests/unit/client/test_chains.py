"""What ``--via`` leads to: named proxies, what is found, PAC files."""

from __future__ import annotations

from pathlib import Path

import pytest

from underpass.address import Address
from underpass.carriers.server_url import ServerUrl
from underpass.client.chains import chains_for
from underpass.client_options import Through
from underpass.errors import ConfigurationError, DialError, Failure
from underpass.net.stream import Stream
from underpass.outbound import sources
from underpass.outbound.ways import name_of

URL = ServerUrl.parse("https://tunnel.example")


async def nowhere(address: Address) -> Stream:
    raise DialError(Failure.CONNECTION_REFUSED, str(address))


async def names(text: str) -> list[str]:
    return [name_of(chain) for chain in await chains_for(Through.parse(text), URL, nowhere)]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "all_proxy", "no_proxy", "XDG_CURRENT_DESKTOP"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def test_what_is_named_is_the_only_way() -> None:
    assert await names("none") == ["direct"]
    assert await names("http://a:1,socks5://b:2") == ["through a:1, then socks5 b:2"]


async def test_auto_looks_into_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await names("auto") == ["direct"]
    monkeypatch.setenv("HTTPS_PROXY", "http://a:1")
    assert await names("auto") == ["through a:1", "direct"]


async def test_a_pac_file_that_can_not_be_had_stops_the_start(tmp_path: Path) -> None:
    for place in (f"pac+file://{tmp_path}/none.pac", "pac+http://127.0.0.1:1/a.pac"):
        assert str(Through.parse(place)) == place
        with pytest.raises(ConfigurationError, match=r"\.pac"):
            await names(place)


async def test_one_of_the_systems_does_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def from_system(url: ServerUrl, environ: object) -> sources.Setting:
        return sources.Setting(pac="http://127.0.0.1:1/a.pac", source="the desktop")

    monkeypatch.setattr(sources, "from_system", from_system)
    assert await names("auto") == ["direct"]
    assert "can't be had" in caplog.text
