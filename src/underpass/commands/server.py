"""``underpass server``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from underpass.commands.base import Commands, add_command, check_certificate

if TYPE_CHECKING:
    from underpass.server_options import ServerOptions

_SERVER = """\
The tunnel's outside end. It prints "listening http://HOST:PORT" once it accepts, and an access
line for each stream on standard error. SIGTERM or Ctrl-C lets the streams under way end (30 s; a
second one ends them at once); SIGHUP reads the configuration and certificates again.

Who has no invite finds an ordinary web site. Clients are let in by their keys, which they enrol
with an invite; so it may listen where everybody can reach it.

Private, loopback and link-local addresses and port 25 are denied unless allowed.
"""

_SERVER_EPILOG = """\
ADDR is host:port, [v6]:port (port 0: any free one) or unix:PATH.
RULE is a name, a suffix, an address or a network, with an optional port or range:
  example.com  *.example.com:443  10.0.0.0/8  127.0.0.1:5432  [::1]:8000-8100
The most specific rule wins; the rules of a user (`underpass user rules`) hold beside these.

Every option can also stand in a file (--config, its table [server]) or in the environment
(UNDERPASS_LISTEN, UNDERPASS_LIMITS_MAX_SESSIONS, ...); flags are strongest.

examples:
  underpass server --listen 0.0.0.0:443 --tls-self
  underpass invite alice --url https://203.0.113.5
  underpass server --listen 127.0.0.1:8090 --prefix /files      behind nginx, which speaks TLS
"""

_LISTS = ("listen", "allow", "deny")
# (option, metavar, help); the option's name is its key in the configuration.
_FLAGS = (
    ("listen", "ADDR", "accept here; may be repeated (default 127.0.0.1:8090)"),
    ("tls_cert", "FILE", "speak TLS to clients: the certificate chain, PEM"),
    ("tls_key", "FILE", "and its private key, PEM"),
    (
        "tls_self",
        "",
        "speak TLS with a certificate of our own, which invites pin: no domain needed",
    ),
    ("state", "DIR", "where users and keys are kept (default ~/.local/state/underpass)"),
    ("prefix", "/PATH", "be a tunnel below this path only"),
    ("allow", "RULE", "let streams go there; may be repeated"),
    ("deny", "RULE", "do not let streams go there; may be repeated"),
    ("decoy", "URL|DIR", "what strangers find: a site or a folder (default: nothing but 404)"),
    ("proxy", "", "be an HTTP proxy too, for users with a password (`underpass user add`)"),
    ("metrics", "ADDR", "serve Prometheus metrics here, at /metrics, and /healthz"),
    ("log", "text|json", "lines for people or for machines (default text)"),
    ("log_file", "FILE", "append them here (default: standard error)"),
)


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "server", "run a tunnel's server", _SERVER, _SERVER_EPILOG)
    parser.add_argument("--config", metavar="FILE", type=Path, help="read options from this TOML")
    for key, metavar, text in _FLAGS:
        flag = "--" + key.replace("_", "-")
        if not metavar:
            parser.add_argument(flag, dest=key, help=text, action="store_const", const="true")
            continue
        action = "append" if key in _LISTS else "store"
        parser.add_argument(flag, dest=key, metavar=metavar, help=text, action=action)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace, _: list[str]) -> int:
    from underpass.app import run_server  # noqa: PLC0415
    from underpass.config import load_server_options  # noqa: PLC0415

    flags = {key: getattr(arguments, key) for key, _, _ in _FLAGS}

    def load() -> ServerOptions:
        options = load_server_options(arguments.config, os.environ, flags)
        check_certificate(options)
        return options

    _warn_without_users(load().state)
    return run_server(load)


def _warn_without_users(state: Path) -> None:
    from underpass.server.user_store import SqliteUserStore  # noqa: PLC0415

    if not SqliteUserStore(state).users():
        print(
            f"underpass: there are no users in {state}, so nobody is let in; invite one with "
            "`underpass invite NAME --url URL`, it may come in at once",
            file=sys.stderr,
        )
