"""Configuration: what is read from where, and that nothing wrong gets through."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from underpass.access import Effect, Rule
from underpass.address import ListenAddress
from underpass.config import (
    MAX_FILE_BYTES,
    MAX_SECRET_BYTES,
    load_proxy_options,
    proxy_kinds,
    read_secret,
)
from underpass.errors import ConfigurationError
from underpass.options import Limits, ProxyOptions


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A path whose errors read `underpass.toml: …`."""
    monkeypatch.chdir(tmp_path)
    return Path("underpass.toml")


def refusal(
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_proxy_options(config, environ, flags)
    return str(caught.value)


# --- what is read


def test_nothing_given_means_the_defaults() -> None:
    options = load_proxy_options()
    assert options == ProxyOptions()
    assert options.listen == (ListenAddress("127.0.0.1", 8080),)
    assert options.limits == Limits()


FULL = """
[proxy]
listen = ["127.0.0.1:3128", "[::1]:3128", "unix:/run/underpass.sock"]
allow = ["10.0.0.0/8", "*.example.com:443"]
deny = ["[::1]:8000-8100"]
auth = "basic"
state = "state"
via = "http://proxy.example:3128"
tls_cert = "/etc/cert.pem"
tls_key = "~/key.pem"
workers = 2
metrics = "127.0.0.1:9090"
log = "json"
log_file = "log"
identity = "edge-1"

[proxy.limits]
head_timeout = 5
max_connections = 10
"""


def test_a_file_is_read(file: Path) -> None:
    options = load_proxy_options(write(file, FULL))
    assert options.listen == (
        ListenAddress("127.0.0.1", 3128),
        ListenAddress("::1", 3128),
        ListenAddress(None, 0, "/run/underpass.sock"),
    )
    assert options.allow == (
        Rule.parse(Effect.ALLOW, "10.0.0.0/8"),
        Rule.parse(Effect.ALLOW, "*.example.com:443"),
    )
    assert options.deny == (Rule.parse(Effect.DENY, "[::1]:8000-8100"),)
    assert options.rules == options.allow + options.deny
    assert (options.auth, options.log, options.identity) == ("basic", "json", "edge-1")
    assert options.tls_cert == Path("/etc/cert.pem")
    assert options.tls_key == Path("~/key.pem").expanduser()
    assert (options.workers, options.metrics) == (2, ListenAddress("127.0.0.1", 9090))
    assert str(options.via) == "http://proxy.example:3128"
    assert options.limits == Limits(head_timeout=5.0, max_connections=10)
    assert isinstance(options.limits.head_timeout, float)


def test_paths_in_a_file_start_at_its_directory(tmp_path: Path) -> None:
    options = load_proxy_options(write(tmp_path / "a.toml", '[proxy]\nstate = "here"\n'))
    assert options.state == tmp_path / "here"
    assert load_proxy_options(environ={"UNDERPASS_STATE": "here"}).state == Path("here")


@pytest.mark.parametrize("text", ["", "[proxy]\n", "[proxy]\n[proxy.limits]\n"])
def test_an_empty_file_means_the_defaults(file: Path, text: str) -> None:
    assert load_proxy_options(write(file, text)) == ProxyOptions()


def test_every_option_can_stand_in_the_environment() -> None:
    values = {
        "listen": "127.0.0.1:1",
        "metrics": "127.0.0.1:2",
        "auth": "basic",
        "log": "json",
        "via": "http://p:1",
        "allow": "a.test",
        "deny": "b.test",
        "workers": "1",
        "identity": "x",
    }
    for key in proxy_kinds():
        if key in ("via_password_file", "tls_cert", "tls_key"):
            continue
        name = f"UNDERPASS_{key.upper().replace('.', '_')}"
        load_proxy_options(environ={name: values.get(key, "9000")})


@pytest.mark.parametrize("text", ["a.test,b.test", "a.test b.test", " a.test ,\n b.test, "])
def test_lists_in_the_environment_are_split_at_commas_and_space(text: str) -> None:
    options = load_proxy_options(environ={"UNDERPASS_ALLOW": text})
    assert options.allow == (
        Rule.parse(Effect.ALLOW, "a.test"),
        Rule.parse(Effect.ALLOW, "b.test"),
    )


def test_an_empty_list_in_the_environment_is_empty(file: Path) -> None:
    write(file, '[proxy]\nallow = ["a.test"]\n')
    assert load_proxy_options(file, {"UNDERPASS_ALLOW": " "}).allow == ()


def test_flags_outweigh_the_environment_and_that_the_file(file: Path) -> None:
    write(
        file,
        '[proxy]\nlog = "json"\nidentity = "file"\nworkers = 3\nallow = ["a.test"]\n'
        "[proxy.limits]\nhead_timeout = 1\ndns_timeout = 1\n",
    )
    environ = {
        "UNDERPASS_IDENTITY": "environment",
        "UNDERPASS_WORKERS": "4",
        "UNDERPASS_LIMITS_HEAD_TIMEOUT": "2.5",
        "HOME": "/root",
    }
    flags = {"workers": "5", "allow": ["b.test", "c.test"], "identity": None}
    options = load_proxy_options(file, environ, flags)
    assert (options.log, options.identity, options.workers) == ("json", "environment", 5)
    assert (options.limits.head_timeout, options.limits.dns_timeout) == (2.5, 1.0)
    assert list(options.allow) == [
        Rule.parse(Effect.ALLOW, "b.test"),
        Rule.parse(Effect.ALLOW, "c.test"),
    ]


# --- what is refused


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            '[proxy.limits]\nhead_timeout = "10s"',
            "proxy.limits.head_timeout: expected a number of seconds, up to 604800, "
            "got a string ('10s')",
        ),
        (
            "[proxy.limits]\nhead_timeout = true",
            "proxy.limits.head_timeout: expected a number of seconds, up to 604800, got a boolean",
        ),
        (
            "[proxy.limits]\nhead_timeout = 0",
            "proxy.limits.head_timeout: expected a number of seconds, up to 604800, got 0",
        ),
        (
            "[proxy.limits]\nhead_timeout = nan",
            "proxy.limits.head_timeout: expected a number of seconds, up to 604800, got nan",
        ),
        (
            "[proxy.limits]\nhead_timeout = inf",
            "proxy.limits.head_timeout: expected a number of seconds, up to 604800, got inf",
        ),
        (
            "[proxy.limits]\nmax_header_fields = 1.5",
            "proxy.limits.max_header_fields: expected a whole number from 10 to 10000, got 1.5",
        ),
        (
            "[proxy]\nworkers = 65",
            "proxy.workers: expected a whole number from 0 to 64, got 65",
        ),
        (
            '[proxy]\nauth = "digest"',
            "proxy.auth: expected none or basic, got a string ('digest')",
        ),
        (
            '[proxy]\nlisten = "127.0.0.1:80"',
            "proxy.listen: expected a list of addresses such as 127.0.0.1:8080, "
            "got a string ('127.0.0.1:80')",
        ),
        (
            "[proxy]\nlisten = [80]",
            "proxy.listen: expected a list of addresses such as 127.0.0.1:8080, got a list with 80",
        ),
        ("[proxy]\nstate = {}", "proxy.state: expected a path, got a table"),
        ("[proxy]\nstate = ['a']", "proxy.state: expected a path, got a list"),
        ("[proxy]\nstate = 2026-11-24", "proxy.state: expected a path, got a date"),
        ('[proxy]\nstate = ""', "proxy.state: expected a path, got an empty or broken one"),
        (
            '[proxy]\nidentity = "two words"',
            "proxy.identity: expected 1 to 64 letters, digits, '-', '.', '_' (a token)",
        ),
        ("[proxy]\nlisen = []", "proxy.lisen: unknown option; did you mean listen?"),
        ("[proxy]\nzzzzzz = []", "proxy.zzzzzz: unknown option"),
        ('[proxy]\n"a\\nb" = 1', "proxy.a\\nb: unknown option"),
        (
            "[proxy.limits]\nhead_timout = 1",
            "proxy.limits.head_timout: unknown option; did you mean limits.head_timeout?",
        ),
        ("[proxy]\nlimits = 3", "proxy.limits: expected a table, got 3"),
        ("[prox]", "prox: unknown option; did you mean proxy?"),
        ("proxy = 1", "proxy: expected a table, got 1"),
        ("[proxy", "not TOML: Expected ']' at the end of a table declaration (at end of document)"),
        ("a = " + "[" * 10_000, "nested too deeply"),
    ],
)
def test_a_wrong_file_is_refused_with_key_and_reason(file: Path, text: str, reason: str) -> None:
    assert refusal(write(file, text)) == f"underpass.toml: {reason}"


@pytest.mark.parametrize("key", ["listen", "allow", "deny", "metrics", "via"])
def test_values_that_do_not_parse_are_refused_with_their_key(file: Path, key: str) -> None:
    many = key in ("listen", "allow", "deny")
    value = '["no such thing:x"]' if many else '"no such thing:x"'
    said = refusal(write(file, f"[proxy]\n{key} = {value}"))
    assert said.startswith(f"underpass.toml: proxy.{key}: ")


def test_a_file_that_cannot_be_read_is_refused(file: Path, tmp_path: Path) -> None:
    assert refusal(file) == "underpass.toml: cannot be read: No such file or directory"
    assert refusal(tmp_path) == f"{tmp_path}: cannot be read: Is a directory"


def test_a_file_that_is_no_text_is_refused(file: Path) -> None:
    file.write_bytes(b"\xff\xfe")
    assert refusal(file) == "underpass.toml: not UTF-8, so not TOML"
    file.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    assert refusal(file) == f"underpass.toml: larger than {MAX_FILE_BYTES} bytes"


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("WORKERS", "two", "expected a whole number from 0 to 64, got 'two'"),
        ("WORKERS", "", "expected a whole number from 0 to 64, got ''"),
        ("LOG", "xml", "expected text or json, got 'xml'"),
        (
            "LIMITS_MAX_HEADER_BYTES",
            "1",
            "expected a number of bytes from 8192 to 1048576, got '1'",
        ),
        ("LISEN", "x", "unknown option; did you mean UNDERPASS_LISTEN?"),
    ],
)
def test_a_wrong_environment_is_refused(name: str, value: str, reason: str) -> None:
    said = refusal(environ={f"UNDERPASS_{name}": value})
    assert said == f"environment: UNDERPASS_{name}: {reason}"


def test_variables_of_other_commands_are_left_alone() -> None:
    environ = {"UNDERPASS_INVITE": "x", "UNDERPASS_VIA_PASSWORD": "y", "UNDERPASS_WORKER": "z"}
    assert load_proxy_options(environ=environ) == ProxyOptions()


def test_a_wrong_flag_is_refused() -> None:
    assert refusal(flags={"tls_cert": ""}) == (
        "command line: --tls-cert: expected a path, got an empty or broken one"
    )


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ({"listen": []}, "listen: expected at least one address"),
        ({"listen": ["127.0.0.1:80", "127.0.0.1:80"]}, "listen: the same address twice"),
        ({"tls_cert": "c"}, "tls_cert: needs tls_key beside it"),
        ({"tls_key": "k"}, "tls_key: needs tls_cert beside it"),
        ({"listen": ["127.0.0.1:1", "0.0.0.0:80"]}, "listen: 0.0.0.0:80 can be reached"),
        ({"listen": ["[::]:80"]}, "listen: [::]:80 can be reached"),
        ({"listen": ["proxy.example:80"]}, "listen: proxy.example:80 can be reached"),
    ],
)
def test_options_that_clash_are_refused(flags: dict[str, object], reason: str) -> None:
    assert refusal(flags=flags).startswith(f"command line: {reason}")


def test_a_clash_names_every_place_that_has_a_part_in_it(file: Path) -> None:
    write(file, '[proxy]\ntls_cert = "c"\n')
    said = refusal(file, environ={"UNDERPASS_LOG": "json"})
    assert said == "underpass.toml, environment: tls_cert: needs tls_key beside it"


def test_an_exposed_listener_is_fine_with_users() -> None:
    flags: dict[str, object] = {"listen": ["0.0.0.0:80"], "auth": "basic"}
    assert load_proxy_options(flags=flags).auth == "basic"


def test_several_listeners_may_ask_for_any_port() -> None:
    flags = {"listen": ["127.0.0.1:0", "127.0.0.1:0"]}
    assert len(load_proxy_options(flags=flags).listen) == 2


# --- secrets


def via_password(
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> str:
    via = load_proxy_options(config, environ, flags).via
    assert via is not None
    return via.password


def test_the_password_comes_from_a_file_then_the_environment_then_the_url(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret", "from file\n")
    environ = {"UNDERPASS_VIA_PASSWORD": "from environment"}
    flags = {"via": "http://me:url@p:1"}
    with_file = {**flags, "via_password_file": str(secret)}
    assert via_password(flags=flags) == "url"
    assert via_password(flags=flags, environ=environ) == "from environment"
    assert via_password(flags=with_file, environ=environ) == "from file"


@pytest.mark.parametrize("place", ["file", "environment"])
def test_a_password_without_a_user_is_refused(tmp_path: Path, place: str) -> None:
    flags: dict[str, object] = {"via": "http://p:1"}
    environ = {"UNDERPASS_VIA_PASSWORD": "hidden"}
    if place == "file":
        flags["via_password_file"] = str(write(tmp_path / "secret", "hidden"))
        environ = {}
    assert refusal(flags=flags, environ=environ) == (
        "command line: via: there is a password for http://p:1, but no user; "
        "write http://USER@HOST:PORT"
    )


def test_a_password_file_without_a_via_is_refused(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret", "hidden")
    said = refusal(flags={"via_password_file": str(secret)})
    assert said == f"command line: via_password_file: {secret}: there is no via to use it for"


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        (b"hidden", 0o644, "every user of this machine can read this secret; run `chmod o-r "),
        (b"", 0o600, "expected one line with the secret and nothing else"),
        (b"\n", 0o600, "expected one line with the secret and nothing else"),
        (b"hid\nden\n", 0o600, "expected one line with the secret and nothing else"),
        (b"\xff", 0o600, "expected one line of UTF-8 text"),
        (b"h" * (MAX_SECRET_BYTES + 1), 0o600, f"larger than {MAX_SECRET_BYTES} bytes"),
    ],
)
def test_a_bad_secret_file_is_refused_without_showing_it(
    tmp_path: Path, content: bytes, mode: int, reason: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(content)
    secret.chmod(mode)
    with pytest.raises(ConfigurationError) as caught:
        read_secret(secret)
    assert str(caught.value).startswith(f"{secret}: {reason}")
    assert "hid" not in str(caught.value)


def test_a_secret_may_come_through_a_pipe(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, "pässword\r\n".encode())
    os.close(writing)
    assert read_secret(Path(f"/dev/fd/{reading}")) == "pässword"
    os.close(reading)


def test_a_file_with_a_password_that_everybody_can_read_is_refused(file: Path) -> None:
    write(file, '[proxy]\nvia = "http://me:hidden@p:1"\n', 0o644)
    said = refusal(file)
    assert said.startswith("underpass.toml: proxy.via: holds a password, but every user")
    assert "hidden" not in said
    file.chmod(0o600)
    assert load_proxy_options(file).via is not None
    write(file, '[proxy]\nvia = "http://me@p:1"\n', 0o644)
    assert load_proxy_options(file).via is not None


# --- anything at all


@settings(max_examples=40)
@given(st.text(max_size=200))
def test_any_text_is_options_or_a_configuration_error(text: str) -> None:
    environ = {"UNDERPASS_LISTEN": text, "UNDERPASS_ALLOW": text, "UNDERPASS_VIA": text}
    for name, value in environ.items():
        try:
            load_proxy_options(environ={name: value})
        except ConfigurationError as error:
            assert str(error).startswith("environment: ")  # noqa: PT017 - either is fine


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.sampled_from(sorted(proxy_kinds())), JSON_LIKE)
def test_any_value_is_options_or_a_configuration_error(key: str, value: object) -> None:
    try:
        load_proxy_options(flags={key: value})
    except ConfigurationError as error:
        assert str(error).startswith("command line")  # noqa: PT017 - either is fine
