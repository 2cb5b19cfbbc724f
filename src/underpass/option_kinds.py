"""What the value of an option may be: the kinds that several commands' options share.

The kinds are the only description of a value: `underpass.config` reads files, environment and flags
by them, and takes its error texts from them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from underpass.address import ListenAddress
from underpass.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Kind:
    """What a value may be: its form on the wire of a file, what `parse` makes of it, in words.

    `wire` is a type as msgspec checks it, `expected` ends the sentence "expected …"; `parse`
    raises `ValueError`. With `many`, `wire` is the type of each element of a list.
    """

    wire: Any
    expected: str
    parse: Callable[[Any], Any] | None = None
    many: bool = False


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError("expected a path, got an empty or broken one")
    return Path(text).expanduser()


LISTEN = Kind(str, "a list of addresses such as 127.0.0.1:8080", ListenAddress.parse, many=True)
PATH = Kind(str, "a path", _path)
LOG = Kind(Literal["text", "json"], "text or json")


def default_state() -> Path:
    """Where users and keys live unless told: the XDG state directory of this user."""
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "underpass"


def check_no_listener_twice(keys: str, listeners: Iterable[ListenAddress]) -> None:
    """Raise `ConfigurationError` where the same address stands twice in the options `keys`."""
    # Any free port is another one each time.
    fixed = [address for address in listeners if address.port or address.path]
    if len(set(fixed)) < len(fixed):
        raise ConfigurationError(f"{keys}: the same address twice")
