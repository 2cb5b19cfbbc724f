"""``underpass config check``."""

from __future__ import annotations

import argparse
from pathlib import Path

from underpass.commands.base import EXIT_OK, Commands, add_command, check_certificate

_CONFIG_EPILOG = """\
example:
  underpass config check /etc/underpass.toml && systemctl reload underpass
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "config", "check a configuration file", epilog=_CONFIG_EPILOG)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    check = add_command(actions, "check", "check a file and print all options, secrets redacted")
    check.add_argument("file", metavar="FILE", type=Path, help="a TOML file")
    check.set_defaults(run=_check)


def _check(arguments: argparse.Namespace, _: list[str]) -> int:
    from underpass import config, option_text  # noqa: PLC0415 - when it runs

    tables = config.tables_of(arguments.file)
    shown = []
    if "proxy" in tables or "server" not in tables:
        proxy = config.load_proxy_options(arguments.file)
        check_certificate(proxy)
        shown.append(option_text.show(proxy))
    if "server" in tables:
        server = config.load_server_options(arguments.file)
        check_certificate(server)
        shown.append(option_text.show(server))
    print("\n".join(shown), end="")
    return EXIT_OK
