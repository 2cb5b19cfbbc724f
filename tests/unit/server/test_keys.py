"""The server's key: made once, kept for itself, and refused where it can't be trusted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from underpass.errors import ConfigurationError
from underpass.protocol.noise import public_key
from underpass.server.keys import FILE, server_key, server_public_key


def test_the_key_is_made_at_first_use_and_stays(tmp_path: Path) -> None:
    key = server_key(tmp_path / "state")
    assert len(key) == 32
    assert server_key(tmp_path / "state") == key
    assert server_public_key(tmp_path / "state") == public_key(key)
    assert server_key(tmp_path / "other") != key


def test_several_at_once_use_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(lambda _: server_key(tmp_path), range(16)))
    assert len(keys) == 1


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    server_key(tmp_path)
    (tmp_path / FILE).chmod(0o644)
    with pytest.raises(ConfigurationError, match=r"chmod 600 .*server\.key"):
        server_key(tmp_path)


@pytest.mark.parametrize("content", [b"", b"short", b"AAAA\n", b"A" * 45, b"\xff" * 44])
def test_what_is_no_key_is_refused_and_left_as_it_is(content: bytes, tmp_path: Path) -> None:
    server_key(tmp_path)
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ConfigurationError, match="not a key; restore it"):
        server_key(tmp_path)
    assert (tmp_path / FILE).read_bytes() == content
