"""``underpass stdio``."""

from __future__ import annotations

import argparse

from underpass.commands.base import Commands, add_command
from underpass.commands.flags import given_flags
from underpass.commands.profiles import WAY_FLAGS, add_way, load_setup
from underpass.errors import ConfigurationError

_TEXT = """\
One stream through the tunnel on standard input and output, for ssh's ProxyCommand and the like.
"""

_EPILOG = """\
examples:
  ssh -o 'ProxyCommand underpass stdio work %h:%p' somebody@host.example
  Host *.example                                 in ~/.ssh/config
      ProxyCommand underpass stdio work %h:%p
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "stdio", "one stream on standard input and output", _TEXT, _EPILOG
    )
    parser.usage = "underpass stdio [options] [PROFILE] HOST:PORT"
    # One list for both: argparse takes an optional word for absent once it has seen the other.
    parser.add_argument(
        "words",
        metavar="[PROFILE] HOST:PORT",
        nargs="+",
        help="which profile (default: the only one), and where to, as seen from the server",
    )
    add_way(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace, _: list[str]) -> int:
    from underpass.address import Address  # noqa: PLC0415 - when it runs

    *profile, where = arguments.words
    if len(profile) > 1:
        raise ConfigurationError(f"expected [PROFILE] HOST:PORT, got {' '.join(arguments.words)!a}")
    arguments.profile = profile[0] if profile else None
    try:
        address = Address.parse(where)
    except ValueError as error:
        raise ConfigurationError(f"{where!a}: {error}") from None
    setup = load_setup(arguments, given_flags(arguments, WAY_FLAGS))
    from underpass.client.tunnel import Passage  # noqa: PLC0415 - when it runs
    from underpass.client_stdio import run_stdio  # noqa: PLC0415 - when it runs

    return run_stdio(setup.profile, Passage.of(setup.options), address)
