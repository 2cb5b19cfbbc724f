"""``underpass join``."""

from __future__ import annotations

import argparse
import sys

from underpass.commands.base import EXIT_OK, Commands, add_command
from underpass.commands.profiles import MAX_INVITE
from underpass.errors import ConfigurationError

_TEXT = """\
Keeps an invite, read from standard input, as profile NAME: one file for its owner alone, in
~/.config/underpass/profiles. The client's own key is made here and never leaves this machine.
"""

_EPILOG = """\
example:
  underpass join work < invite.txt
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "join", "keep an invite as a profile", _TEXT, _EPILOG)
    parser.add_argument("name", metavar="NAME", help="what to call the profile")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace, _: list[str]) -> int:
    from underpass.client import profile  # noqa: PLC0415 - when it runs

    path = profile.path_of(arguments.name, profile.profiles_folder())
    joined = profile.join(profile.parse_invite(_read_invite()), path)
    print(f"joined {joined.url} as {joined.name}; run `underpass client {arguments.name}`")
    return EXIT_OK


def _read_invite() -> str:
    if sys.stdin is None:
        raise ConfigurationError("no invite was given: it comes by standard input")
    if sys.stdin.isatty():
        print("Paste the invite, then press Enter:", file=sys.stderr)
        return sys.stdin.readline(MAX_INVITE)
    try:
        return sys.stdin.read(MAX_INVITE)
    except UnicodeError:
        raise ConfigurationError("what came by standard input is no invite") from None
