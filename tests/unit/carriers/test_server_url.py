"""A server's URL and the targets of requests below it."""

from __future__ import annotations

import pytest

from underpass.carriers.server_url import ServerUrl


def test_parses_a_url() -> None:
    url = ServerUrl.parse("https://Server.example/below/this/")
    assert (url.scheme, str(url.address), url.prefix) == (
        "https",
        "server.example:443",
        "/below/this",
    )
    assert url.is_tls
    assert str(url) == "https://server.example:443/below/this"


def test_names_a_target_with_the_port_where_it_is_not_the_usual() -> None:
    target = ServerUrl.parse("http://server.example:8080").target("T/1")
    assert target.origin_form == b"/T/1"
    assert target.host_field == b"server.example:8080"
    assert ServerUrl.parse("http://server.example").target("T").host_field == b"server.example"
    assert ServerUrl.parse("https://[::1]/x").target("T").host_field == b"[::1]"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "server.example",
        "ftp://server.example",
        "http://",
        "http://user@server.example",
        "http://server.example/?a=b",
        "http://server.example/#a",
        "http://server.example/a b",
        "http://server.example/ä",
        "http://server.example:99999",
    ],
)
def test_refuses_what_is_no_servers_url(text: str) -> None:
    with pytest.raises(ValueError):
        ServerUrl.parse(text)
