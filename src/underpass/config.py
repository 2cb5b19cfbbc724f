"""Options from a TOML file, the environment and flags, in that order of weight.

A value in a stronger place replaces the one in a weaker place, lists too. Nothing is guessed: an
unknown key, a wrong type, a value out of range or a secret that others can read is a
`ConfigurationError` that names the place, the key and the reason.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_type_hints

from underpass.errors import ConfigurationError
from underpass.option_kinds import Kind
from underpass.option_values import described, value_of

if TYPE_CHECKING:
    from underpass.client_options import ClientOptions, Through
    from underpass.options import ProxyOptions
    from underpass.outbound.via import Via
    from underpass.server_options import ServerOptions

PREFIX = "UNDERPASS_"
VIA_PASSWORD = "UNDERPASS_VIA_PASSWORD"  # noqa: S105 - the name of a variable
# Variables with our prefix that are no option.
OTHER_VARIABLES = frozenset({VIA_PASSWORD, "UNDERPASS_INVITE", "UNDERPASS_WORKER"})

# A configuration written by a person is a few KiB; what is larger is not one.
MAX_FILE_BYTES = 1024 * 1024
# Longer than any password a proxy takes, shorter than a file named by mistake.
MAX_SECRET_BYTES = 1024

Options = TypeVar("Options", "ProxyOptions", "ServerOptions", "ClientOptions")


@dataclass(frozen=True, slots=True)
class _Section(Generic[Options]):
    """The options of one command: the table of a file that they stand in, and their kinds.

    `make` makes them of the values of all but the limits, and of those.
    """

    table: str
    kinds: Mapping[str, Kind]
    make: Callable[[dict[str, Any], dict[str, Any]], Options]


# Each is made when it is first asked for: a command reads its own options alone.


@cache
def _proxy() -> _Section[ProxyOptions]:
    from underpass.options import Limits, ProxyOptions  # noqa: PLC0415 - see above

    return _Section(
        "proxy",
        _kinds(ProxyOptions, Limits),
        lambda values, limits: ProxyOptions(limits=Limits(**limits), **values),
    )


@cache
def _server() -> _Section[ServerOptions]:
    from underpass.server_options import ServerLimits, ServerOptions  # noqa: PLC0415 - see above

    return _Section(
        "server",
        _kinds(ServerOptions, ServerLimits),
        lambda values, limits: ServerOptions(limits=ServerLimits(**limits), **values),
    )


@cache
def _client() -> _Section[ClientOptions]:
    from underpass.client_options import ClientOptions  # noqa: PLC0415 - see above

    return _Section(
        "client", _kinds(ClientOptions, NoneType), lambda values, _: ClientOptions(**values)
    )


def _kinds(options: type, limits: type) -> dict[str, Kind]:
    found = {}
    for owner, prefix in ((options, ""), (limits, "limits.")):
        for name, hint in get_type_hints(owner, include_extras=True).items():
            if hint is not limits:
                found[prefix + name] = next(k for k in hint.__metadata__ if isinstance(k, Kind))
    return found


def proxy_kinds() -> Mapping[str, Kind]:
    """The kind of every option, by its key below ``[proxy]``, such as ``limits.head_timeout``."""
    return _proxy().kinds


def server_kinds() -> Mapping[str, Kind]:
    """The same of the server, below ``[server]``."""
    return _server().kinds


def client_kinds() -> Mapping[str, Kind]:
    """The same of the client, below ``[client]``; it has no limits."""
    return _client().kinds


# In the file of a profile, its own table stands beside that of the client's options.
_TABLES = ("proxy", "server", "client", "profile")


@dataclass(frozen=True, slots=True)
class _Layer:
    """Values from one place: `label` says how a key is written there."""

    name: str
    label: Callable[[str], str]
    values: Mapping[str, object]
    # Numbers and lists come as text.
    textual: bool = True
    # Where relative paths start.
    base: Path = Path()


def load_proxy_options(
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> ProxyOptions:
    """Read the proxy's options: the file `config`, then `environ`, then `flags`.

    `flags` are by option name, with text or lists of text; None is a flag that was not given.
    Raises `ConfigurationError`.
    """
    return _load(_proxy(), [config] if config else [], environ or {}, flags or {})


def load_server_options(
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> ServerOptions:
    """Read the server's options, as `load_proxy_options` does the proxy's."""
    return _load(_server(), [config] if config else [], environ or {}, flags or {})


def load_client_options(
    configs: Sequence[Path] = (),
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> ClientOptions:
    """Read the client's options, as `load_proxy_options` does the proxy's; of several files, later
    ones are stronger."""
    return _load(_client(), configs, environ or {}, flags or {})


def _load(
    section: _Section[Options],
    configs: Sequence[Path],
    environ: Mapping[str, str],
    flags: Mapping[str, object],
) -> Options:
    layers = [_file(section, config) for config in configs]
    layers += [_environment(section, environ), _flags(flags)]
    values: dict[str, Any] = {}
    for layer in layers:
        values.update(_decode(section, layer))
    limits = {key.removeprefix("limits."): values.pop(key) for key in list(values) if "." in key}
    try:
        if "via" in section.kinds:
            _put_password(values, environ)
        return section.make(values, limits)
    except ConfigurationError as error:
        places = ", ".join(layer.name for layer in layers if layer.values) or "defaults"
        raise ConfigurationError(f"{places}: {error}") from None


# --- the places -----------------------------------------------------------------------------------


def tables_of(path: Path) -> list[str]:
    """Which commands' tables a TOML file has. Raises `ConfigurationError`."""
    return [table for table in _TABLES if table in _document(path)]


def _document(path: Path) -> dict[str, object]:
    try:
        document: dict[str, object] = tomllib.loads(_read(path, MAX_FILE_BYTES).decode())
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: not UTF-8, so not TOML") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not TOML: {error}") from None
    except RecursionError:
        raise ConfigurationError(f"{path}: nested too deeply") from None
    for key in document:
        if key not in _TABLES:
            raise ConfigurationError(f"{path}: {_known(key, _TABLES)}")
    return document


def _file(section: _Section[Options], path: Path) -> _Layer:
    """One table of a TOML file."""
    table = section.table
    values = dict(_flatten(path, table, _table(path, table, _document(path).get(table, {}))))
    layer = _Layer(str(path), f"{path}: {table}.{{}}".format, values, False, path.parent)
    via: Via | Through | None = _decode(section, layer).get("via")
    if via is not None and via.password and _is_open(path):
        raise ConfigurationError(
            f"{layer.label('via')}: holds a password, but every user of this machine can read the "
            f"file; run `chmod o-r {path}`, or keep the password in a via_password_file"
        )
    return layer


def _flatten(path: Path, table: str, values: dict[str, object]) -> Iterator[tuple[str, object]]:
    for key, value in values.items():
        if key != "limits":
            yield key, value
            continue
        for name, limit in _table(path, f"{table}.limits", value).items():
            yield f"limits.{name}", limit


def _table(path: Path, name: str, value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{path}: {name}: expected a table, got {described(value)}")
    return value


def _environment(section: _Section[Options], environ: Mapping[str, str]) -> _Layer:
    variables = {_variable(key): key for key in section.kinds}
    given = [name for name in environ if name.startswith(PREFIX) and name not in OTHER_VARIABLES]
    if not variables.keys() >= set(given):
        # What is another command's is known too: both may be started from one environment.
        all_keys = [*proxy_kinds(), *server_kinds(), *client_kinds()]
        known = [_variable(key) for key in all_keys]
        for name in given:
            if name not in known:
                raise ConfigurationError(f"environment: {_known(name, known)}")

    def label(key: str) -> str:
        return f"environment: {_variable(key)}"

    values = {variables[name]: environ[name] for name in given if name in variables}
    return _Layer("environment", label, values)


def _variable(key: str) -> str:
    return PREFIX + key.upper().replace(".", "_")


def _flags(flags: Mapping[str, object]) -> _Layer:
    def label(key: str) -> str:
        return f"command line: --{key.replace('_', '-')}"

    given = {key: value for key, value in flags.items() if value is not None}
    return _Layer("command line", label, given)


# --- values ---------------------------------------------------------------------------------------


def _decode(section: _Section[Options], layer: _Layer) -> dict[str, Any]:
    decoded = {}
    for key, raw in layer.values.items():
        if key not in section.kinds:
            place = layer.label(key).removesuffix(key)
            raise ConfigurationError(f"{place}{_known(key, section.kinds)}")
        try:
            value = value_of(section.kinds[key], raw, textual=layer.textual)
        except ValueError as error:
            raise ConfigurationError(f"{layer.label(key)}: {error}") from None
        decoded[key] = layer.base / value if isinstance(value, Path) else value
    return decoded


def _known(key: str, known: Mapping[str, object] | Sequence[str]) -> str:
    """Say that `key` is unknown, and which known one it may be meant to be."""
    import difflib  # noqa: PLC0415 - for mistakes alone

    close = difflib.get_close_matches(key, list(known), n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"{ascii(key)[1:-1]}: unknown option{hint}"


# --- secrets --------------------------------------------------------------------------------------


def _put_password(values: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Put the password from a file or the environment in the place of the URL's own."""
    via: Via | Through | None = values.get("via")
    if via is not None and not via.scheme:
        # No proxy is named, so there is none to give a password to.
        via = None
    path: Path | None = values.get("via_password_file")
    if path is not None:
        try:
            password = read_secret(path)
        except ConfigurationError as error:
            raise ConfigurationError(f"via_password_file: {error}") from None
    elif VIA_PASSWORD in environ and via is not None:
        password = environ[VIA_PASSWORD]
    else:
        return
    if via is None:
        raise ConfigurationError(f"via_password_file: {path}: there is no via to use it for")
    if not via.user:
        raise ConfigurationError(
            f"via: there is a password for {via}, but no user; write {via.scheme}://USER@HOST:PORT"
        )
    values["via"] = via.with_password(password)


def read_secret(path: Path) -> str:
    """Read a secret of one line from a file that not everybody can read.

    Raises `ConfigurationError`, never with a piece of the secret.
    """
    text = _read(path, MAX_SECRET_BYTES)
    if _is_open(path):
        raise ConfigurationError(
            f"{path}: every user of this machine can read this secret; run `chmod o-r {path}`"
        )
    try:
        secret = text.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: expected one line of UTF-8 text") from None
    if not secret or not secret.isprintable():
        raise ConfigurationError(f"{path}: expected one line with the secret and nothing else")
    return secret


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > limit:
        raise ConfigurationError(f"{path}: larger than {limit} bytes")
    return data


def _is_open(path: Path) -> bool:
    """Whether everybody may read `path`. Something other than a file (a pipe) is not open."""
    mode = os.stat(path).st_mode
    return stat.S_ISREG(mode) and bool(mode & stat.S_IROTH)
