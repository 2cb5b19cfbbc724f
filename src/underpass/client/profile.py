"""`Profile`: what a client knows of its server and of itself, in a file for its owner alone.

A profile comes from an invite. The client's own key is made then; the invite's code stays until the
server has let the client in once. Options of the user may stand in the same file, below
``[client]``.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
import os
import re
import secrets
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from underpass.carriers.server_url import ServerUrl
from underpass.client_options import ClientOptions
from underpass.errors import ConfigurationError
from underpass.protocol.noise import KEY_BYTES

if TYPE_CHECKING:
    from underpass.protocol.invite import Invite

# As a file's name, and in messages.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# A profile and some options.
MAX_BYTES = 64 * 1024
# The profile's line with the code, which goes once the client is let in.
_CODE_LINE = re.compile(rb'^code = "[^"]*"\n', re.MULTILINE)

_FIELDS = frozenset({"url", "server_key", "name", "pin", "key", "code"})

_HEAD = """\
# What `underpass client` knows of one server. It holds secrets: keep it to yourself.
# Options of the client may stand below [client], as in `underpass client --help`.
"""


@dataclass(frozen=True, slots=True)
class Profile:
    """See the module. `key` is the client's private key; `name` is the user's at the server.

    `path` is where it stands.
    """

    url: ServerUrl
    server_key: bytes
    name: str
    path: Path
    key: bytes = field(repr=False)
    pin: bytes = b""
    code: bytes = field(default=b"", repr=False)

    def text(self) -> str:
        """The file's content."""
        values = {
            "url": str(self.url),
            "server_key": _encode(self.server_key),
            "name": self.name,
            "pin": _encode(self.pin),
            "key": _encode(self.key),
            "code": _encode(self.code),
        }
        lines = [f"{name} = {json.dumps(value)}\n" for name, value in values.items() if value]
        return f"{_HEAD}[profile]\n{''.join(lines)}\n[client]\n"


@dataclass(frozen=True, slots=True)
class ClientSetup:
    """What a client runs with."""

    profile: Profile
    options: ClientOptions


def profiles_folder() -> Path:
    """Where profiles stand: below the XDG configuration directory of this user."""
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "underpass" / "profiles"


def parse_invite(text: str) -> Invite:
    """Read an invite. Raises `ConfigurationError` with a reason, never with a piece of it."""
    from underpass.protocol.invite import Invite  # noqa: PLC0415 - a profile needs it no more

    try:
        invite = Invite.parse(text)
        ServerUrl.parse(invite.url)
    except ValueError as error:
        raise ConfigurationError(f"invite: {error}") from None
    return invite


def path_of(name: str, folder: Path) -> Path:
    """The file of the profile `name`. Raises `ConfigurationError` for what is no name."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!a}: a profile's name has 1 to 64 letters, digits, '.', '-' and '_'"
        )
    return folder / f"{name}.toml"


def join(invite: Invite, path: Path) -> Profile:
    """Keep a new profile at `path`. Raises `ConfigurationError`, also where there is one."""
    profile = _made_of(invite, path)
    if not _make_file(path, profile.text().encode()):
        raise ConfigurationError(f"{path}: there is a profile already; remove it, or name another")
    return profile


def without_profile(invite: Invite, state: Path) -> Profile:
    """The profile for an invite that is used as it is: its key is kept, so that it may come again.

    Raises `ConfigurationError`.
    """
    mark = hashlib.sha256(invite.server_key + invite.code).hexdigest()[:32]
    path = state / "invites" / f"{mark}.toml"
    profile = _made_of(invite, path)
    _make_file(path, profile.text().encode())
    # The server's address may have changed; the key and whether the code was used are the file's.
    return replace(load(path), url=profile.url, pin=profile.pin)


def only_profile(folder: Path) -> Path:
    """The one profile there is. Raises `ConfigurationError` where there is none, or several."""
    found = sorted(folder.glob("*.toml"))
    if not found:
        raise ConfigurationError(
            f"there is no profile in {folder}; run `underpass join NAME` with an invite on "
            "standard input"
        )
    if len(found) > 1:
        names = ", ".join(path.stem for path in found)
        raise ConfigurationError(f"which profile? There are {names}")
    return found[0]


def load(path: Path) -> Profile:
    """Read a profile. Raises `ConfigurationError`, also for one that others can read."""
    try:
        document = tomllib.loads(_read(path).decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path}: not TOML: {error}") from None
    table = document.get("profile")
    if not isinstance(table, dict) or not all(isinstance(one, str) for one in table.values()):
        raise ConfigurationError(f"{path}: not a profile: no table [profile] of strings")
    if unknown := sorted(table.keys() - _FIELDS):
        raise ConfigurationError(f"{path}: profile.{unknown[0]}: unknown")
    try:
        return Profile(
            url=ServerUrl.parse(table["url"]),
            server_key=_decode(table["server_key"], KEY_BYTES),
            name=table["name"],
            path=path,
            key=_decode(table["key"], KEY_BYTES),
            pin=_decode(table.get("pin", "")),
            code=_decode(table.get("code", "")),
        )
    except KeyError as error:
        raise ConfigurationError(f"{path}: profile: {error.args[0]} is missing") from None
    except ValueError as error:
        raise ConfigurationError(f"{path}: profile: {error}") from None


def forget_code(path: Path) -> None:
    """The server has let this client in: its code is of no more use. Raises `ConfigurationError`.

    The rest of the file stays as the user has written it.
    """
    text = _read(path)
    rest = _CODE_LINE.sub(b"", text, count=1)
    if rest != text:
        _write(path, rest, replacing=True)


def _made_of(invite: Invite, path: Path) -> Profile:
    return Profile(
        url=ServerUrl.parse(invite.url),
        server_key=invite.server_key,
        name=invite.name,
        path=path,
        key=os.urandom(KEY_BYTES),
        pin=invite.pin,
        code=invite.code,
    )


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def _decode(text: str, size: int = 0) -> bytes:
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a key or code that is not base64url") from None
    if size and len(data) != size:
        raise ValueError(f"a key that has not {size} bytes")
    return data


# --- files ----------------------------------------------------------------------------------------


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise ConfigurationError(
                    f"{path}: others can read it, and it holds secrets; run `chmod 600 {path}`"
                )
            return file.read(MAX_BYTES)
    except FileNotFoundError:
        known = ", ".join(other.stem for other in sorted(path.parent.glob("*.toml")))
        hint = f"there are {known}" if known else "run `underpass join NAME` with an invite"
        raise ConfigurationError(f"{path}: there is no such profile; {hint}") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None


def _make_file(path: Path, content: bytes) -> bool:
    """Make a file; False where there is one already."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{path.parent}: cannot be made: {error.strerror}") from None
    return _write(path, content, replacing=False)


def _write(path: Path, content: bytes, *, replacing: bool) -> bool:
    """Write a file whole or not at all, for its owner alone."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if replacing:
                os.replace(draft, path)
            else:
                os.link(draft, path)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(draft)
    except FileExistsError:
        return False
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written: {error.strerror}") from None
    return True
