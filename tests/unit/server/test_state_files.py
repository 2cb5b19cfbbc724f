"""Secret files: whole, made once, and for their owner alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from underpass.errors import ConfigurationError
from underpass.server.state_files import make_secret_file, read_secret_file


def test_a_file_is_made_for_its_owner_alone_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "state" / "secret"
    old = os.umask(0)
    try:
        assert make_secret_file(path, b"hush")
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert read_secret_file(path) == b"hush"
    assert os.listdir(path.parent) == ["secret"]


def test_one_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    assert make_secret_file(path, b"first")
    assert not make_secret_file(path, b"second")
    assert read_secret_file(path) == b"first"
    assert os.listdir(tmp_path) == ["secret"]


def test_one_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert read_secret_file(tmp_path / "secret") is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_one_that_others_can_use_is_refused(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    make_secret_file(path, b"hush")
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match="others can read it") as caught:
        read_secret_file(path)
    assert "hush" not in str(caught.value)


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_secret_file(tmp_path)


def test_a_place_that_is_no_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be made"):
        make_secret_file(tmp_path / "file" / "secret", b"hush")
