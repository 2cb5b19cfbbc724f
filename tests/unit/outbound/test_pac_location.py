"""Where PAC files are."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.carriers.server_url import ServerUrl
from underpass.outbound.pac_location import PacLocation, split_url


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("pac+file:///etc/proxy.pac", PacLocation(path=Path("/etc/proxy.pac"))),
        ("file://localhost/a%20b.pac", PacLocation(path=Path("/a b.pac"))),
        ("pac+/etc/proxy.pac", PacLocation(path=Path("/etc/proxy.pac"))),
        ("pac+http://p.example/a.pac?b", PacLocation("http://p.example/a.pac?b")),
        ("https://p.example", PacLocation("https://p.example")),
    ],
)
def test_a_place_is_parsed_and_written_back(text: str, location: PacLocation) -> None:
    assert PacLocation.parse(text) == location
    assert PacLocation.parse(str(location)) == location


@pytest.mark.parametrize(
    "text",
    [
        *("", "pac+", "relative.pac", "file://other.example/a.pac", "ftp://p/a.pac"),
        *("http://u:p@p.example/a", "http://p.example/a b", "http://p.example/\r\nX: y"),
    ],
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        PacLocation.parse(text)


@given(st.text(max_size=80), st.sampled_from(["", "pac+/", "pac+http://p/", "pac+file:///"]))
def test_any_text_is_a_place_or_refused(text: str, before: str) -> None:
    try:
        location = PacLocation.parse(before + text)
    except ValueError:
        return
    assert bool(location.url) != (location.path is not None)


def test_a_url_is_a_server_and_what_is_asked_of_it() -> None:
    server = ServerUrl.parse("http://p.example:8080")
    assert split_url("http://p.example:8080//a/b.pac?c") == (server, "a/b.pac?c")
    assert split_url("http://p.example:8080") == (server, "")
