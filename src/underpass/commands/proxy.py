"""``underpass proxy``."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from underpass.commands.base import Commands, add_command, check_certificate, warn_without_users
from underpass.commands.flags import RULES_TEXT, Flags, add_config, add_flags, given_flags

if TYPE_CHECKING:
    from underpass.options import ProxyOptions

_PROXY = """\
An HTTP proxy: CONNECT for anything, and plain requests forwarded. It prints
"listening http://HOST:PORT" once it accepts, an access line for each request on standard
error, and stops on SIGTERM or Ctrl-C after what is under way has ended (30 s; a second
one ends it at once). SIGHUP reads the configuration and certificates again.

Private, loopback and link-local addresses and port 25 are denied unless allowed.
"""

_PROXY_EPILOG = f"""{RULES_TEXT}\
The most specific rule wins.

Every option can also stand in a file (--config) or in the environment (UNDERPASS_LISTEN,
UNDERPASS_LIMITS_HEAD_TIMEOUT, ...); flags are strongest, then the environment.

examples:
  underpass proxy
  underpass proxy --listen 127.0.0.1:3128 --allow 10.1.0.0/16:443 --metrics 127.0.0.1:9090
  underpass user add alice && underpass proxy --listen 0.0.0.0:3128 --auth basic
  curl -x http://127.0.0.1:8080 https://example.com/
"""

_PROXY_FLAGS: Flags = (
    ("listen", "ADDR", "accept here; may be repeated (default 127.0.0.1:8080)"),
    ("allow", "RULE", "let requests go there; may be repeated"),
    ("deny", "RULE", "do not let requests go there; may be repeated"),
    ("auth", "none|basic", "who may use it: anybody (loopback only), or users (default none)"),
    ("state", "DIR", "where the users are kept (default ~/.local/state/underpass)"),
    ("via", "URL", "go out through this proxy: http://, https:// or socks5://USER@HOST:PORT"),
    ("via_password_file", "FILE", "its password; or set UNDERPASS_VIA_PASSWORD"),
    ("tls_cert", "FILE", "speak TLS to clients: the certificate chain, PEM"),
    ("tls_key", "FILE", "and its private key, PEM"),
    ("workers", "N", "processes; 0 is one a CPU (default 1)"),
    ("metrics", "ADDR", "serve Prometheus metrics here, at /metrics"),
    ("log", "text|json", "lines for people or for machines (default text)"),
    ("log_file", "FILE", "append them here (default: standard error)"),
    ("identity", "NAME", "our name in Via and Proxy-Status (default underpass)"),
)


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "proxy", "run an HTTP proxy", _PROXY, _PROXY_EPILOG)
    add_config(parser)
    add_flags(parser, _PROXY_FLAGS, "listen allow deny")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace, argv: list[str]) -> int:
    # Imported here and below: a command pays for what it needs alone.
    from underpass.config import load_proxy_options  # noqa: PLC0415 - when it runs
    from underpass.worker import inherit  # noqa: PLC0415 - when it runs

    flags = given_flags(arguments, _PROXY_FLAGS)

    def load() -> ProxyOptions:
        options = load_proxy_options(arguments.config, os.environ, flags)
        check_certificate(options)
        return options

    inheritance = inherit(os.environ)
    if inheritance is None:
        options = load()
        if arguments.via and options.via and _holds_password(arguments.via):
            print(
                "underpass: the password in --via can be seen by every user of this machine; put "
                "it in --via-password-file or in UNDERPASS_VIA_PASSWORD",
                file=sys.stderr,
            )
        if options.auth == "basic":
            warn_without_users(options.state, "add one with `underpass user add NAME`")
        if options.processes > 1:
            from underpass.supervisor import run_workers  # noqa: PLC0415 - for more than one alone

            return run_workers(load, argv)
    from underpass.app import run_proxy  # noqa: PLC0415 - when it runs

    return run_proxy(load, inheritance)


def _holds_password(url: str) -> bool:
    from underpass.outbound.via import Via  # noqa: PLC0415 - for a --via alone

    return bool(Via.parse(url).password)
