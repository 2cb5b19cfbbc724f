"""``underpass invite``."""

from __future__ import annotations

import argparse
import os
import re
import sys

from underpass.commands.base import EXIT_OK, Commands, add_command, state_directory
from underpass.errors import ConfigurationError

_INVITE = """\
Prints an invite for a user of this server, one line, and makes the user if there is none of that
name. Whoever has the line can come in with it: hand it over as you would a password. It holds the
server's URL and public key, and a code that works --uses times until it expires; the client makes
a key of its own and needs the code no more.

A running server knows of it at once.
"""

_INVITE_EPILOG = """\
TIME is a number with s, m, h or d: 90m, 12h, 7d.
Where the server has made a certificate of its own (--tls-self), an invite to an https:// URL pins
it.

examples:
  underpass invite alice --url https://tunnel.example.com/files
  underpass invite build-robots --url https://203.0.113.5 --uses 20 --expires 1d
"""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}
_TIME = re.compile(r"([1-9][0-9]{0,8})([smhd])", re.ASCII)

# What is to last longer is better renewed: a code in an old mail is a key that nobody watches.
MAX_SECONDS = 366 * 24 * 3600
MAX_USES = 10_000


def add(commands: Commands) -> None:
    """Add the command."""
    summary = "print an invite for a user of a tunnel's server"
    parser = add_command(commands, "invite", summary, _INVITE, _INVITE_EPILOG)
    parser.add_argument("name", metavar="NAME", help="the user's name")
    parser.add_argument(
        "--url", metavar="URL", required=True, help="where clients reach the server, with its path"
    )
    parser.add_argument("--state", metavar="DIR", help="the server's own (--state)")
    parser.add_argument(
        "--uses", metavar="N", default="1", help="how many clients may come in (default 1)"
    )
    parser.add_argument(
        "--expires", metavar="TIME", default="7d", help="how long the code works (default 7d)"
    )
    text = "the server is run with this too; needed only before its first start"
    parser.add_argument("--tls-self", action="store_true", help=text)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace, _: list[str]) -> int:
    from underpass.server.invites import InviteTerms, make_invite  # noqa: PLC0415 - when it runs

    if arguments.tls_self and not arguments.url.startswith("https:"):
        raise ConfigurationError(f"--url {arguments.url}: --tls-self is for https:// URLs")
    uses, seconds = _uses(arguments.uses), seconds_of(arguments.expires)
    terms = InviteTerms(_url(arguments.url), uses, seconds, arguments.tls_self)
    state = state_directory(arguments.state, os.environ)
    print(make_invite(state, arguments.name, terms).format())
    if sys.stdout.isatty():
        print("underpass: the line above lets its reader in; keep it secret", file=sys.stderr)
    return EXIT_OK


def _url(text: str) -> str:
    from underpass.carriers.server_url import ServerUrl  # noqa: PLC0415 - when it runs

    try:
        ServerUrl.parse(text)
    except ValueError as error:
        raise ConfigurationError(f"--url {text}: {error}") from None
    return text


def _uses(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MAX_USES:
        raise ConfigurationError(f"--uses {text}: expected a whole number from 1 to {MAX_USES}")
    return int(text)


def seconds_of(text: str) -> int:
    """How many seconds a time such as ``7d`` is. Raises `ConfigurationError`."""
    found = _TIME.fullmatch(text)
    if found is None or int(found[1]) * _UNITS[found[2]] > MAX_SECONDS:
        raise ConfigurationError(
            f"--expires {text}: expected a time such as 90m, 12h or 7d, of a year at most"
        )
    return int(found[1]) * _UNITS[found[2]]
