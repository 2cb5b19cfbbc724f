"""What the client's commands share: which profile, and the options that all of them take."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from underpass.commands.flags import Flags, add_config, add_flags
from underpass.errors import ConfigurationError

if TYPE_CHECKING:
    from underpass.client.profile import ClientSetup, Profile

INVITE = "UNDERPASS_INVITE"

# Longer than any invite; a whole file piped in by mistake is not one.
MAX_INVITE = 64 * 1024

WAY_FLAGS: Flags = (
    ("via", "auto|none|URL", "go out as the system says, directly, or through this proxy: http://, "
     "https:// or socks5://USER@HOST:PORT; several, with commas, in a row (default auto)"),
    ("via_password_file", "FILE", "the proxy's password; or set UNDERPASS_VIA_PASSWORD"),
    ("authorities", "FILE", "trust these too, PEM: for a network that opens TLS"),
    ("opened_tls", "tell|refuse", "where a box on the way opens TLS: go on, or not (default tell)"),
    ("carrier", "NAME|auto", "websocket, stream, poll or get (default auto: what works best)"),
    ("methods", "LIST", "the HTTP methods to use, such as GET,POST (default all)"),
    ("state", "DIR", "where keys and the control socket are (default ~/.local/state/underpass)"),
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what says which server, and how to reach it."""
    parser.add_argument(
        "profile", metavar="PROFILE", nargs="?", help="which profile (default: the only one)"
    )
    add_way(parser)


def add_way(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how to reach the server."""
    parser.add_argument(
        "--invite-file", metavar="FILE", type=Path, help="use the invite in this file instead"
    )
    add_config(parser)
    add_flags(parser, WAY_FLAGS)


def load_setup(arguments: argparse.Namespace, flags: dict[str, object]) -> ClientSetup:
    """Read options and profile. Raises `ConfigurationError`."""
    from underpass.client.profile import ClientSetup, load  # noqa: PLC0415 - when it runs
    from underpass.config import load_client_options  # noqa: PLC0415 - when it runs

    path = profile_path(arguments)
    # The profile first: one that others can read is refused before anything of it is used.
    kept = load(path) if path is not None else None
    configs = [one for one in (arguments.config, path) if one is not None]
    options = load_client_options(configs, os.environ, flags)
    return ClientSetup(kept or _invited(arguments.invite_file, options.state), options)


def profile_path(arguments: argparse.Namespace) -> Path | None:
    """The file of the profile that is meant; None where an invite stands for one."""
    from underpass.client import profile  # noqa: PLC0415 - when it runs

    if arguments.profile is not None:
        if arguments.invite_file is not None:
            raise ConfigurationError("--invite-file: a profile is named already; use one of them")
        return profile.path_of(arguments.profile, profile.profiles_folder())
    if arguments.invite_file is not None or INVITE in os.environ:
        return None
    return profile.only_profile(profile.profiles_folder())


def _invited(file: Path | None, state: Path) -> Profile:
    from underpass.client.profile import parse_invite, without_profile  # noqa: PLC0415 - when it runs

    if file is None:
        return without_profile(parse_invite(os.environ[INVITE]), state)
    try:
        with file.open("rb") as opened:
            text = opened.read(MAX_INVITE).decode("utf-8", "replace")
    except OSError as error:
        raise ConfigurationError(f"--invite-file: {file}: {error.strerror}") from None
    return without_profile(parse_invite(text), state)
