"""``underpass client``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from underpass.commands.base import Commands, add_command
from underpass.commands.flags import Flags, add_flags, given_flags
from underpass.commands.profiles import WAY_FLAGS, add_arguments, load_setup

if TYPE_CHECKING:
    from underpass.client.profile import ClientSetup

_TEXT = """\
The tunnel's inside end: programs come in by SOCKS, as to an HTTP proxy, or by forwarded ports,
and go out at the server. It prints "listening socks5://HOST:PORT" and the like once it accepts,
and "tunnel up: CARRIER, ROUTE, DELAY" each time that the way to the server changes. It stops on
SIGTERM or Ctrl-C after what is under way has ended (10 s; a second one ends it at once). SIGHUP
reads the configuration again, goes by it without breaking a stream, and looks at the network anew.
"""

_EPILOG = """\
ADDR is host:port, [v6]:port (port 0: any free one) or unix:PATH. With no --socks, --http and -L:
SOCKS on 127.0.0.1:1080 and HTTP on 127.0.0.1:8080.

Every option can also stand in the profile or a file (--config), below [client], or in the
environment (UNDERPASS_SOCKS, ...); flags are strongest, then the environment, then the profile.
An invite can be used without a profile: --invite-file, or UNDERPASS_INVITE.

examples:
  underpass join work < invite.txt && underpass client work
  underpass client --via http://proxy.example:3128 -L 5432:db.internal:5432
  curl -x socks5h://127.0.0.1:1080 https://example.com/
"""

_FLAGS: Flags = (
    ("socks", "ADDR", "accept SOCKS 4, 4a and 5 here; may be repeated"),
    ("http", "ADDR", "accept HTTP proxy clients here; may be repeated"),
    ("login_file", "FILE", "ask SOCKS and HTTP clients for the USER:PASSWORD in this file"),
)
_LOG_FLAGS: Flags = (
    ("log", "text|json", "lines for people or for machines (default text)"),
    ("log_file", "FILE", "append them here (default: standard error)"),
)


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "client", "run the tunnel's inside end", _TEXT, _EPILOG)
    add_arguments(parser)
    add_flags(parser, _FLAGS, "socks http")
    parser.add_argument(
        "-L",
        "--forward",
        dest="forward",
        metavar="[BIND:]PORT:HOST:PORT",
        action="append",
        help="what comes to this port, or unix socket PATH:HOST:PORT, goes to HOST:PORT; may be "
        "repeated",
    )
    add_flags(parser, _LOG_FLAGS)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace, _: list[str]) -> int:
    from underpass.client.profile import ClientSetup  # noqa: PLC0415 - when it runs
    from underpass.client_app import run_client  # noqa: PLC0415 - when it runs

    flags = given_flags(arguments, WAY_FLAGS, _FLAGS, _LOG_FLAGS)
    flags["forward"] = arguments.forward

    def load() -> ClientSetup:
        setup = load_setup(arguments, flags)
        return ClientSetup(setup.profile, setup.options.with_listeners)

    return run_client(load)
