"""Options as text: what is shown can be read again, and holds no secret."""

from __future__ import annotations

import tomllib
from pathlib import Path

from underpass.config import load_proxy_options, load_server_options, proxy_kinds, server_kinds
from underpass.option_text import show

FLAGS = {
    "listen": ["127.0.0.1:3128", "unix:/run/a.sock"],
    "allow": ["10.0.0.0/8", "*.example.com:443"],
    "deny": ["[::1]:8000-8100"],
    "tls_cert": "/etc/cert.pem",
    "tls_key": "/etc/key.pem",
    "log": "json",
}


def read_again(text: str, folder: Path) -> Path:
    file = folder / "again.toml"
    file.write_text(text)
    file.chmod(0o600)
    return file


def test_the_proxys_options_can_be_read_again(tmp_path: Path) -> None:
    given = {**FLAGS, "auth": "basic", "via": "http://p:1", "workers": "2", "identity": "edge-1"}
    options = load_proxy_options(flags=given)
    shown = show(options)
    assert load_proxy_options(read_again(shown, tmp_path)) == options
    assert "# via_password_file is not set\n" in shown
    assert all(key.removeprefix("limits.") in shown for key in proxy_kinds())


def test_the_servers_options_can_be_read_again(tmp_path: Path) -> None:
    options = load_server_options(flags={**FLAGS, "proxy": "true", "prefix": "/files"})
    shown = show(options)
    assert load_server_options(read_again(shown, tmp_path)) == options
    assert all(key.removeprefix("limits.") in shown for key in server_kinds())


def test_what_is_shown_holds_no_password() -> None:
    options = load_proxy_options(flags={"via": "http://me:hidden@p:1"})
    shown = show(options)
    assert tomllib.loads(shown)["proxy"]["via"] == "http://me:***@p:1"
    assert "hidden" not in shown + repr(options)
