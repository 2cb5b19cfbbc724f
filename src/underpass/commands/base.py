"""What all commands share: exit codes, how one is added to the parser, what several check."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from underpass.options import ProxyOptions
    from underpass.server_options import ServerOptions

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

# What stands between the arguments of `underpass run` and those of its program.
SEPARATOR = "--"

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_command(
    commands: Commands,
    name: str,
    summary: str,
    text: str = "",
    epilog: str = "",
) -> argparse.ArgumentParser:
    """Add a command to the parser, and return its own parser."""
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


def own_part(argv: list[str]) -> list[str]:
    """What of a command line is ours to parse: for ``run``, what stands before ``--``."""
    if argv[:1] == ["run"] and SEPARATOR in argv:
        return argv[: argv.index(SEPARATOR)]
    return argv


def take_late_words(arguments: argparse.Namespace, left: list[str]) -> list[str]:
    """Put the words that stand behind an option into `arguments.words`, where a command has them.

    argparse fills a list of words once, and leaves what follows an option over. Returns what is
    left of that: all of it, where an unknown option is among it.
    """
    if "words" not in arguments or any(one.startswith("-") for one in left):
        return left
    arguments.words += left
    return []


def state_directory(given: str | None, environ: Mapping[str, str]) -> Path:
    """The state directory that ``--state`` or the environment names, or the usual one."""
    from underpass.config import load_server_options  # noqa: PLC0415 - when it runs

    # By way of the options, so that UNDERPASS_STATE and the default are those of what runs.
    only = {name: environ[name] for name in ("UNDERPASS_STATE",) if name in environ}
    return load_server_options(None, only, {"state": given}).state


def check_certificate(options: ProxyOptions | ServerOptions) -> None:
    """Read what only listeners need: a wrong file stops the start, or a reload, as a whole."""
    if options.tls_cert is not None and options.tls_key is not None:
        from underpass.net.tls import server_context  # noqa: PLC0415 - with TLS alone

        server_context(options.tls_cert, options.tls_key)


def warn_without_users(state: Path, advice: str) -> None:
    """Say that nobody is let in as yet, and what `advice` is to change that."""
    from underpass.server.user_store import SqliteUserStore  # noqa: PLC0415 - when it runs

    if not SqliteUserStore(state).users():
        print(
            f"underpass: there are no users in {state}, so nobody is let in; {advice}, it may come "
            "in at once",
            file=sys.stderr,
        )
