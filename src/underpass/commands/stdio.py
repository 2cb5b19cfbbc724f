"""``underpass stdio``."""

from __future__ import annotations

import argparse

from underpass.commands.base import Commands, add_command
from underpass.commands.profiles import WAY_FLAGS, add_arguments, given_flags, load_setup
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
    add_arguments(parser)
    parser.add_argument("address", metavar="HOST:PORT", help="where to, as seen from the server")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace, _: list[str]) -> int:
    from underpass.address import Address  # noqa: PLC0415

    try:
        address = Address.parse(arguments.address)
    except ValueError as error:
        raise ConfigurationError(f"{arguments.address!a}: {error}") from None
    setup = load_setup(arguments, given_flags(arguments, WAY_FLAGS))
    from underpass.client.tunnel import Passage  # noqa: PLC0415
    from underpass.client_stdio import run_stdio  # noqa: PLC0415

    return run_stdio(setup.profile, Passage.of(setup.options), address)
