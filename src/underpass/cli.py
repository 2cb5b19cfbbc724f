"""The commands. Each loads what it needs when it runs: ``--version`` and ``--help`` are quick.

Exit codes: 0 fine, 1 something failed while running, 2 wrong usage or configuration (nothing was
started or changed), 130 ended by Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from underpass.errors import ConfigurationError, UnderpassError

if TYPE_CHECKING:
    from underpass.access import Effect, Rule
    from underpass.options import ProxyOptions

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

# Longer than any password; a whole file piped in by mistake is not one.
MAX_PASSWORD = 1024

_EPILOG = """\
exit codes: 0 fine, 1 failed while running, 2 wrong usage or configuration, 130 Ctrl-C
"""

_PROXY = """\
An HTTP proxy: CONNECT for anything, and plain requests forwarded. It prints
"listening http://HOST:PORT" once it accepts, an access line for each request on standard
error, and stops on SIGTERM or Ctrl-C after what is under way has ended (30 s; a second
one ends it at once). SIGHUP reads the configuration and certificates again.

Private, loopback and link-local addresses and port 25 are denied unless allowed.
"""

_PROXY_EPILOG = """\
ADDR is host:port, [v6]:port (port 0: any free one) or unix:PATH.
RULE is a name, a suffix, an address or a network, with an optional port or range:
  example.com  *.example.com:443  10.0.0.0/8  127.0.0.1:5432  [::1]:8000-8100
The most specific rule wins.

Every option can also stand in a file (--config) or in the environment (UNDERPASS_LISTEN,
UNDERPASS_LIMITS_HEAD_TIMEOUT, ...); flags are strongest, then the environment.

examples:
  underpass proxy
  underpass proxy --listen 127.0.0.1:3128 --allow 10.1.0.0/16:443 --metrics 127.0.0.1:9090
  underpass user add alice && underpass proxy --listen 0.0.0.0:3128 --auth basic
  curl -x http://127.0.0.1:8080 https://example.com/
"""

_USER = """\
The users that a proxy with --auth basic lets in, kept in the state directory. A running proxy
sees changes within seconds. A password is asked for twice, or read as one line from standard
input when that is not a terminal; it never stands on a command line.
"""

_USER_EPILOG = """\
examples:
  underpass user add alice
  underpass user add robot --deny '*' --allow api.example.com:443 < password.txt
  underpass user token robot          print a new token for "Proxy-Authorization: Bearer"
  underpass user list
"""

_CONFIG_EPILOG = """\
example:
  underpass config check /etc/underpass.toml && systemctl reload underpass
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    _fill_standard_descriptors()
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        arguments, unknown = _parser().parse_known_args(given)
        if unknown:
            # By the command's own parser: its usage is what the user needs to see.
            arguments.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    except SystemExit as end:
        # argparse has said what is wrong, or printed the help.
        return EXIT_USAGE if end.code else EXIT_OK
    run: Callable[[argparse.Namespace, list[str]], int] = arguments.run
    try:
        return run(arguments, given)
    except ConfigurationError as error:
        return _complain(error, EXIT_USAGE)
    except (UnderpassError, OSError) as error:
        return _complain(error, EXIT_FAILED)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _fill_standard_descriptors() -> None:
    """Open the null device where standard input, output or error is closed.

    Else the next socket would get that number, and be written what is meant for standard error.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is given out.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _complain(error: Exception, code: int) -> int:
    print(f"underpass: {error}", file=sys.stderr)
    return code


# --- the parser -----------------------------------------------------------------------------------


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        # A third of the time of a start, and only needed here.
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

        try:
            number = version("underpass")
        except PackageNotFoundError:
            number = "(not installed)"
        print(f"underpass {number}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="underpass",
        description="Carries any application's traffic over HTTP.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and end")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_proxy(commands)
    _add_user(commands)
    _add_config(commands)
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    summary: str,
    text: str = "",
    epilog: str = "",
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=summary,
        description=text or summary[:1].upper() + summary[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(parser=parser)
    return parser


_LISTS = ("listen", "allow", "deny")
# (option, metavar, help); the option's name is its key in the configuration.
_PROXY_FLAGS = (
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


def _add_proxy(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "proxy", "run an HTTP proxy", _PROXY, _PROXY_EPILOG)
    parser.add_argument("--config", metavar="FILE", type=Path, help="read options from this TOML")
    for key, metavar, text in _PROXY_FLAGS:
        flag = "--" + key.replace("_", "-")
        action = "append" if key in _LISTS else "store"
        parser.add_argument(flag, dest=key, metavar=metavar, help=text, action=action)
    parser.set_defaults(run=_run_proxy)


def _add_user(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "user", "add, change and list users", _USER, _USER_EPILOG)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for name, summary in (
        ("add", "add a user, asking for a password"),
        ("remove", "remove a user"),
        ("list", "list the users and their rules"),
        ("passwd", "give a user another password"),
        ("token", "print a new token for a user, in place of the old one"),
        ("rules", "show the rules of a user, or replace them by those given"),
    ):
        action = _command(actions, name, summary)
        if name != "list":
            action.add_argument("name", metavar="NAME", help="the user's name")
        if name in ("add", "rules"):
            for flag, verb in (("--allow", "let"), ("--deny", "do not let")):
                text = f"{verb} this user go there; may be repeated"
                action.add_argument(flag, metavar="RULE", help=text, action="append", default=[])
        if name == "rules":
            action.add_argument(
                "--clear", action="store_true", help="leave no rules but those given"
            )
        text = "where the users are kept (default ~/.local/state/underpass)"
        action.add_argument("--state", metavar="DIR", help=text)
        action.set_defaults(run=_run_user, action=name)


def _add_config(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "config", "check a configuration file", epilog=_CONFIG_EPILOG)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    check = _command(actions, "check", "check a file and print all options, secrets redacted")
    check.add_argument("file", metavar="FILE", type=Path, help="a TOML file")
    check.set_defaults(run=_check_config)


# --- the commands ---------------------------------------------------------------------------------


def _run_proxy(arguments: argparse.Namespace, argv: list[str]) -> int:
    # Imported here and below: a command pays for what it needs alone.
    from underpass.config import load_proxy_options  # noqa: PLC0415
    from underpass.worker import inherit  # noqa: PLC0415

    flags = {key: getattr(arguments, key) for key, _, _ in _PROXY_FLAGS}

    def load() -> ProxyOptions:
        options = load_proxy_options(arguments.config, os.environ, flags)
        _check_certificate(options)
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
            _warn_without_users(options.state)
        if options.processes > 1:
            from underpass.supervisor import run_workers  # noqa: PLC0415

            return run_workers(load, argv)
    from underpass.app import run_proxy  # noqa: PLC0415

    return run_proxy(load, inheritance)


def _warn_without_users(state: Path) -> None:
    from underpass.server.user_store import SqliteUserStore  # noqa: PLC0415

    if not SqliteUserStore(state).users():
        print(
            f"underpass: there are no users in {state}, so nobody is let in; add one with "
            "`underpass user add NAME`, it may come in at once",
            file=sys.stderr,
        )


def _check_certificate(options: ProxyOptions) -> None:
    """Read what only listeners need: a wrong file stops the start, or a reload, as a whole."""
    if options.tls_cert is not None and options.tls_key is not None:
        from underpass.net.tls import server_context  # noqa: PLC0415

        server_context(options.tls_cert, options.tls_key)


def _holds_password(url: str) -> bool:
    from underpass.options import Via  # noqa: PLC0415

    return bool(Via.parse(url).password)


def _check_config(arguments: argparse.Namespace, _: list[str]) -> int:
    from underpass.config import load_proxy_options, show  # noqa: PLC0415

    options = load_proxy_options(arguments.file)
    _check_certificate(options)
    print(show(options), end="")
    return EXIT_OK


def _run_user(arguments: argparse.Namespace, _: list[str]) -> int:
    from underpass.access import Effect  # noqa: PLC0415
    from underpass.config import load_proxy_options  # noqa: PLC0415
    from underpass.server import user_commands  # noqa: PLC0415
    from underpass.server.user_store import SqliteUserStore  # noqa: PLC0415

    # By way of the options, so that UNDERPASS_STATE and the default are the proxy's own.
    state = load_proxy_options(None, _only_state(), {"state": arguments.state}).state
    store = SqliteUserStore(state)
    name = getattr(arguments, "name", "")
    given = [(Effect.ALLOW, text) for text in getattr(arguments, "allow", [])]
    given += [(Effect.DENY, text) for text in getattr(arguments, "deny", [])]
    match arguments.action:
        case "add":
            rules = _rules(given)
            user_commands.check_absent(store, name)
            user_commands.add(store, name, read_password(name), rules)
        case "passwd":
            user_commands.check_present(store, name)
            user_commands.change_password(store, name, read_password(name))
        case "remove":
            user_commands.remove(store, name)
        case "token":
            print(user_commands.new_token(store, name))
        case "rules" if given or arguments.clear:
            user_commands.set_rules(store, name, _rules(given))
        case "rules":
            for rule in user_commands.rules_of(store, name):
                print(rule)
        case _:
            for line in user_commands.listing(store):
                print(line)
    return EXIT_OK


def _only_state() -> dict[str, str]:
    return {name: os.environ[name] for name in ("UNDERPASS_STATE",) if name in os.environ}


def _rules(given: list[tuple[Effect, str]]) -> tuple[Rule, ...]:
    from underpass.access import Rule  # noqa: PLC0415

    rules = []
    for effect, text in given:
        try:
            rules.append(Rule.parse(effect, text))
        except ValueError as error:
            raise ConfigurationError(f"--{effect.value} {text}: {error}") from None
    return tuple(rules)


def read_password(name: str) -> str:
    """Ask for a password twice on a terminal, or take one line of standard input.

    Raises `ConfigurationError` for an empty, too long or mistyped one.
    """
    try:
        if sys.stdin is None:
            # Started with it closed.
            raise EOFError
        if sys.stdin.isatty():
            password = _ask_twice(name)
        else:
            password = sys.stdin.readline(MAX_PASSWORD + 2).removesuffix("\n").removesuffix("\r")
        password.encode()
    except EOFError:
        raise ConfigurationError("no password was given; nothing was changed") from None
    except UnicodeError:
        raise ConfigurationError("the password is not UTF-8 text; nothing was changed") from None
    if not password:
        raise ConfigurationError("an empty password; give one line on standard input")
    if len(password) > MAX_PASSWORD:
        raise ConfigurationError(f"a password has at most {MAX_PASSWORD} characters")
    return password


def _ask_twice(name: str) -> str:
    import getpass  # noqa: PLC0415

    password = getpass.getpass(f"Password for {name}: ")
    if getpass.getpass("Once more: ") != password:
        raise ConfigurationError("the two passwords differ; nothing was changed")
    return password
