"""A running client says how it is, to its owner."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from underpass.client.control import answering, ask, socket_path
from underpass.errors import ConfigurationError


async def test_who_asks_is_told(tmp_path: Path) -> None:
    path = socket_path(tmp_path / "work.toml", tmp_path / "state")
    count = [0]

    def status() -> dict[str, object]:
        count[0] += 1
        return {"up": True, "asked": count[0]}

    async with asyncio.timeout(5), answering(path, status):
        assert path.stat().st_mode & 0o777 == 0o600
        assert await asyncio.to_thread(ask, path) == {"up": True, "asked": 1}
        assert await asyncio.to_thread(ask, path) == {"up": True, "asked": 2}
    assert not path.exists()
    with pytest.raises(ConfigurationError, match="no client of this profile is running"):
        ask(path)


async def test_a_second_client_says_which_one_is_asked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "x.sock"
    async with asyncio.timeout(5), answering(path, lambda: {"process": 77}):
        async with answering(path, lambda: {"process": 78}):
            assert "it asks the one of this profile that runs already (process 77)" in caplog.text
        assert await asyncio.to_thread(ask, path) == {"process": 77}


async def test_each_profile_has_a_socket_of_its_own_with_a_short_path(tmp_path: Path) -> None:
    state = Path("/home/somebody/.local/state/underpass")
    one = socket_path(tmp_path / ("a" * 60) / "work.toml", state)
    two = socket_path(tmp_path / ("b" * 60) / "work.toml", state)
    assert one != two
    assert len(str(one)) < 100


async def test_a_socket_that_cannot_be_made_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").touch()
    async with answering(tmp_path / "state" / "x.sock", dict):
        assert "no control socket" in caplog.text


@pytest.mark.parametrize("answer", [b"", b"nonsense", b"[]"])
async def test_what_is_no_client_is_not_believed(answer: bytes, tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_unix_server(serve, tmp_path / "x.sock")
    async with server:
        with pytest.raises(ConfigurationError):
            await asyncio.to_thread(ask, tmp_path / "x.sock")
