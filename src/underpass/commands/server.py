"""``underpass server``."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from underpass.commands.base import Commands, add_command, check_certificate, warn_without_users
from underpass.commands.flags import RULES_TEXT, Flags, add_config, add_flags, given_flags

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

_SERVER_EPILOG = f"""{RULES_TEXT}\
The most specific rule wins; the rules of a user (`underpass user rules`) hold beside these.

Every option can also stand in a file (--config, its table [server]) or in the environment
(UNDERPASS_LISTEN, UNDERPASS_LIMITS_MAX_SESSIONS, ...); flags are strongest.

examples:
  underpass server --listen 0.0.0.0:443 --tls-self
  underpass invite alice --url https://203.0.113.5
  underpass server --listen 127.0.0.1:8090 --prefix /files      behind nginx, which speaks TLS
"""

_FLAGS: Flags = (
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
    add_config(parser)
    add_flags(parser, _FLAGS, "listen allow deny")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace, _: list[str]) -> int:
    from underpass.app import run_server  # noqa: PLC0415 - when it runs
    from underpass.config import load_server_options  # noqa: PLC0415 - when it runs

    flags = given_flags(arguments, _FLAGS)

    def load() -> ServerOptions:
        options = load_server_options(arguments.config, os.environ, flags)
        check_certificate(options)
        return options

    warn_without_users(load().state, "invite one with `underpass invite NAME --url URL`")
    return run_server(load)
