"""The server's options: what may be, what clashes, and how each is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from underpass.address import ListenAddress
from underpass.config import load_server_options, tables_of
from underpass.errors import ConfigurationError
from underpass.option_text import show
from underpass.server_options import ServerOptions

OUTSIDE = ListenAddress("0.0.0.0", 443)


def test_it_may_be_reached_by_everybody() -> None:
    assert ServerOptions(listen=(OUTSIDE,)).listen == (OUTSIDE,)


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ({"listen": []}, "expected at least one address"),
        ({"listen": ["127.0.0.1:80", "127.0.0.1:80"]}, "the same address twice"),
        ({"tls_cert": "c.pem"}, "tls_cert: needs tls_key"),
        ({"tls_key": "k.pem"}, "tls_key: needs tls_cert"),
        ({"tls_cert": "c.pem", "tls_key": "k.pem", "tls_self": "true"}, "a tls_cert already"),
        ({"tls_self": "maybe"}, "expected true or false"),
        ({"prefix": "files"}, "expected a path such as /files"),
        ({"prefix": "/a b"}, "expected a path such as /files"),
        ({"prefix": "/../a"}, "expected a path such as /files"),
        ({"prefix": "/a//b"}, "expected a path such as /files"),
        ({"decoy": "ftp://site"}, "expected a folder, or a URL"),
        ({"decoy": ""}, "expected a folder, or a URL"),
        ({"via": "http://p:1"}, "unknown option"),
    ],
)
def test_what_can_not_be_is_refused(flags: dict[str, object], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        load_server_options(None, {}, flags)


@pytest.mark.parametrize(
    ("text", "prefix"),
    [("", ""), ("/", ""), ("/files", "/files"), ("/a/b-c_~d/", "/a/b-c_~d")],
)
def test_a_prefix_has_no_slash_at_its_end(text: str, prefix: str) -> None:
    assert load_server_options(None, {}, {"prefix": text}).prefix == prefix


def test_a_decoy_is_a_site_or_a_folder(tmp_path: Path) -> None:
    site = load_server_options(None, {}, {"decoy": "http://127.0.0.1:81"}).decoy
    assert site == "http://127.0.0.1:81"
    file = tmp_path / "a.toml"
    file.write_text('[server]\ndecoy = "site"\n')
    assert load_server_options(file).decoy == tmp_path / "site"


def test_rules_and_tls_are_told_together() -> None:
    options = load_server_options(None, {}, {"allow": ["a.example"], "deny": ["*"]})
    assert [str(rule) for rule in options.rules] == ["a.example", "*"]
    assert not options.is_tls
    assert load_server_options(None, {}, {"tls_self": "true"}).is_tls
    assert load_server_options(None, {}, {"tls_cert": "c", "tls_key": "k"}).is_tls


def test_proxy_and_server_stand_in_one_file_and_one_environment(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[proxy]\nworkers = 2\n[server.limits]\nmax_sessions = 5\n")
    environ = {"UNDERPASS_VIA": "http://p:1", "UNDERPASS_TLS_SELF": "true"}
    options = load_server_options(file, environ)
    assert options.limits.max_sessions == 5
    assert options.tls_self
    assert tables_of(file) == ["proxy", "server"]


@pytest.mark.parametrize("text", ["[sever]\n", "[server]\nworkers = 1\n", "server = 1\n"])
def test_what_is_no_option_of_the_server_stops_it(text: str, tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"unknown option|expected a table"):
        load_server_options(file)


def test_what_is_shown_can_be_read_again(tmp_path: Path) -> None:
    flags = {"tls_self": "true", "decoy": "/srv/site", "prefix": "/p", "allow": ["*.example:443"]}
    options = load_server_options(None, {}, flags)
    file = tmp_path / "a.toml"
    file.write_text(show(options))
    assert load_server_options(file) == options
