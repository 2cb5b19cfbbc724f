"""``underpass run``."""

from __future__ import annotations

import argparse

from underpass.commands.base import SEPARATOR, Commands, add_command
from underpass.commands.flags import given_flags
from underpass.commands.profiles import WAY_FLAGS, add_arguments, load_setup
from underpass.errors import ConfigurationError

_TEXT = """\
Runs a program with http_proxy, https_proxy and all_proxy set, so that its traffic goes through the
tunnel; a program that does not look at these goes its own way. Ends with the program's exit code.
"""

_EPILOG = """\
examples:
  underpass run -- git clone https://example.com/a.git
  underpass run work -- curl https://example.com/
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "run", "run a program through the tunnel", _TEXT, _EPILOG)
    parser.usage = "underpass run [options] [PROFILE] -- COMMAND ..."
    add_arguments(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace, argv: list[str]) -> int:
    command = argv[argv.index(SEPARATOR) + 1 :] if SEPARATOR in argv else []
    if not command:
        raise ConfigurationError("which program? Write it behind `--`: underpass run -- COMMAND")
    from underpass.client_run import run_program  # noqa: PLC0415 - when it runs

    return run_program(load_setup(arguments, given_flags(arguments, WAY_FLAGS)), command)
