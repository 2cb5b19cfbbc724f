"""``underpass user …``."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from underpass.commands.base import EXIT_OK, Commands, add_command, state_directory
from underpass.errors import ConfigurationError

if TYPE_CHECKING:
    from underpass.access import Effect, Rule

# Longer than any password; a whole file piped in by mistake is not one.
MAX_PASSWORD = 1024

MAX_COUNT_DIGITS = 6

_USER = """\
The users that a proxy with --auth basic and a tunnel's server let in, kept in the state directory.
What is running sees changes within a second; a user who is removed loses their tunnels with it. A
password is asked for twice, or read as one line from standard input when that is not a terminal; it
never stands on a command line. Users of a tunnel need none: `underpass invite` lets them in.
"""

_USER_EPILOG = """\
examples:
  underpass user add alice
  underpass user add robot --deny '*' --allow api.example.com:443 < password.txt
  underpass user token robot          print a new token for "Proxy-Authorization: Bearer"
  underpass user limit alice --sessions 2 --streams 500
  underpass user list
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "user", "add, change and list users", _USER, _USER_EPILOG)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for name, summary in (
        ("add", "add a user, asking for a password"),
        ("remove", "remove a user"),
        ("list", "list the users, with their keys, limits and rules"),
        ("passwd", "give a user another password"),
        ("token", "print a new token for a user, in place of the old one"),
        ("rules", "show the rules of a user, or replace them by those given"),
        ("limit", "show what a user may have at once in a tunnel, or change it"),
    ):
        action = add_command(actions, name, summary)
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
        if name == "limit":
            for what in ("sessions", "streams"):
                text = f"so many {what} at once; 0: as many as the server lets everybody"
                action.add_argument(f"--{what}", metavar="N", type=_count, help=text)
        text = "where the users are kept (default ~/.local/state/underpass)"
        action.add_argument("--state", metavar="DIR", help=text)
        action.set_defaults(run=_run, action=name)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > MAX_COUNT_DIGITS:
        raise argparse.ArgumentTypeError("expected a whole number from 0 to 999999")
    return int(text)


def _run(arguments: argparse.Namespace, _: list[str]) -> int:
    from underpass.access import Effect  # noqa: PLC0415 - when it runs
    from underpass.server import user_commands  # noqa: PLC0415 - when it runs
    from underpass.server.user_store import SqliteUserStore  # noqa: PLC0415 - when it runs

    store = SqliteUserStore(state_directory(arguments.state, os.environ))
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
        case "limit":
            limits = user_commands.limits(store, name, arguments.sessions, arguments.streams)
            print(f"sessions {limits.sessions or '-'} streams {limits.streams or '-'}")
        case _:
            for line in user_commands.listing(store):
                print(line)
    return EXIT_OK


def _rules(given: list[tuple[Effect, str]]) -> tuple[Rule, ...]:
    from underpass.access import Rule  # noqa: PLC0415 - when it runs

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
    import getpass  # noqa: PLC0415 - at a terminal alone

    password = getpass.getpass(f"Password for {name}: ")
    if getpass.getpass("Once more: ") != password:
        raise ConfigurationError("the two passwords differ; nothing was changed")
    return password
