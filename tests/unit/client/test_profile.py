"""Profiles: made of an invite, kept for their owner alone, read strictly."""

from __future__ import annotations

import dataclasses
import os
import tomllib
from pathlib import Path

import pytest

from underpass.client import profile
from underpass.errors import ConfigurationError
from underpass.protocol.invite import Invite

INVITE = Invite("https://t.example/files", b"\x01" * 32, "alice", b"\x02" * 16, b"\x03" * 32)


def joined(folder: Path) -> profile.Profile:
    return profile.join(INVITE, profile.path_of("work", folder))


def test_a_profile_is_read_as_it_was_made(tmp_path: Path) -> None:
    made = joined(tmp_path / "profiles")
    read = profile.load(tmp_path / "profiles" / "work.toml")
    assert read == made
    assert str(read.url) == "https://t.example:443/files"
    assert (read.server_key, read.pin, read.code) == (b"\x01" * 32, b"\x03" * 32, b"\x02" * 16)
    assert len(read.key) == 32


def test_each_profile_has_a_key_of_its_own(tmp_path: Path) -> None:
    first = profile.join(INVITE, tmp_path / "a.toml")
    second = profile.join(INVITE, tmp_path / "b.toml")
    assert first.key != second.key


def test_it_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = joined(tmp_path / "profiles").path
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match=r"others can read it.*chmod 600"):
        profile.load(path)


def test_no_secret_is_printed(tmp_path: Path) -> None:
    text = repr(joined(tmp_path))
    assert "\\x02" not in text
    assert "key=b" not in text.replace("server_key=b", "")


def test_one_is_not_written_over(tmp_path: Path) -> None:
    first = joined(tmp_path)
    with pytest.raises(ConfigurationError, match="there is a profile already"):
        joined(tmp_path)
    assert profile.load(first.path) == first


def test_the_code_goes_and_all_else_stays(tmp_path: Path) -> None:
    path = joined(tmp_path).path
    with path.open("a") as file:
        file.write('# mine\nsocks = ["127.0.0.1:1080"]\n')
    before = path.read_text()
    profile.forget_code(path)
    profile.forget_code(path)
    after = path.read_text()
    assert after == "".join(line for line in before.splitlines(True) if "code = " not in line)
    assert path.stat().st_mode & 0o777 == 0o600
    assert profile.load(path).code == b""
    assert tomllib.loads(after)["client"] == {"socks": ["127.0.0.1:1080"]}


def test_an_invite_without_a_profile_keeps_its_key(tmp_path: Path) -> None:
    first = profile.without_profile(INVITE, tmp_path)
    profile.forget_code(first.path)
    moved = dataclasses.replace(INVITE, url="http://127.0.0.1:8090")
    second = profile.without_profile(moved, tmp_path)
    assert (second.key, second.code) == (first.key, b"")
    # Where the server is now, the invite says.
    assert str(second.url) == "http://127.0.0.1:8090"
    other = profile.without_profile(dataclasses.replace(INVITE, code=b"\x04" * 16), tmp_path)
    assert other.key != first.key


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a b", "-x", "x" * 65, "ä"])
def test_what_is_no_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="a profile's name"):
        profile.path_of(name, tmp_path)


def test_the_only_profile_needs_no_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no profile.*underpass join NAME"):
        profile.only_profile(tmp_path)
    path = joined(tmp_path).path
    assert profile.only_profile(tmp_path) == path
    profile.join(INVITE, tmp_path / "home.toml")
    with pytest.raises(ConfigurationError, match=r"which profile. There are home, work"):
        profile.only_profile(tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nonsense", "not TOML"),
        ("\xff", "not TOML"),
        ("", "not a profile"),
        ("profile = 1", "not a profile"),
        ("[profile]\nurl = 1", "not a profile"),
        ("[profile]\nurl = 'http://a.test'\nmore = 'x'", "profile.more: unknown"),
        ("[profile]\nurl = 'http://a.test'", "server_key is missing"),
        ("[profile]\nurl = 'ftp://a.test'\nserver_key = 'x'", "expected http"),
        ("[profile]\nurl = 'http://a.test'\nserver_key = '!'", "not base64url"),
        ("[profile]\nurl = 'http://a.test'\nserver_key = 'AAAA'", "has not 32 bytes"),
    ],
)
def test_what_is_no_profile_is_refused_with_the_reason(
    text: str, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "work.toml"
    path.write_bytes(text.encode("latin-1"))
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match=reason):
        profile.load(path)


def test_a_profile_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no such profile"):
        profile.load(tmp_path / "work.toml")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot be made"):
        profile.join(INVITE, tmp_path / "file" / "profiles" / "a.toml")


def test_profiles_stand_in_the_xdg_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert profile.profiles_folder() == tmp_path / "underpass" / "profiles"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert profile.profiles_folder() == tmp_path / ".config" / "underpass" / "profiles"


def test_an_invite_is_read_or_refused_in_words() -> None:
    assert profile.parse_invite(INVITE.format() + "\n") == INVITE
    with pytest.raises(ConfigurationError, match="invite: not an invite"):
        profile.parse_invite("hello")
    bad = dataclasses.replace(INVITE, url="http://user@host/")
    with pytest.raises(ConfigurationError, match="invite: expected http"):
        profile.parse_invite(bad.format())


def test_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = joined(tmp_path).path
    profile.forget_code(path)
    assert os.listdir(tmp_path) == ["work.toml"]
