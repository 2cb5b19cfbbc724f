"""The commands. Each loads what it needs when it runs: ``--version`` and ``--help`` are quick.

Exit codes: 0 fine, 1 something failed while running, 2 wrong usage or configuration (nothing was
started or changed), 130 ended by Ctrl-C.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence

from underpass.commands.base import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USAGE,
    own_part,
    take_late_words,
)
from underpass.errors import ConfigurationError, UnderpassError

_EPILOG = """\
exit codes: 0 fine, 1 failed while running, 2 wrong usage or configuration, 130 Ctrl-C
"""

# Modules of `underpass.commands`, in the order of the help.
COMMANDS = (
    "proxy",
    "server",
    "invite",
    "join",
    "client",
    "stdio",
    "run",
    "status",
    "user",
    "config",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    _fill_standard_descriptors()
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        arguments, left = _parser(given[:1]).parse_known_args(own_part(given))
        if unknown := take_late_words(arguments, left):
            # By the command's own parser: its usage is what the user needs to see.
            arguments.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    except SystemExit as end:
        # argparse has said what is wrong, or printed the help.
        return EXIT_USAGE if end.code else EXIT_OK
    start: Callable[[argparse.Namespace, list[str]], int] = arguments.run
    try:
        return start(arguments, given)
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


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        # A third of the time of a start, and only needed here.
        from importlib.machinery import EXTENSION_SUFFIXES  # noqa: PLC0415 - see above
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - see above
        from importlib.util import find_spec  # noqa: PLC0415 - see above

        try:
            number = version("underpass")
        except PackageNotFoundError:
            number = "(not installed)"
        core = find_spec("underpass.protocol.session")
        is_compiled = core is not None and str(core.origin).endswith(tuple(EXTENSION_SUFFIXES))
        print(f"underpass {number} ({'compiled' if is_compiled else 'pure'} core)")
        parser.exit()


def _parser(first: list[str]) -> argparse.ArgumentParser:
    """The parser for a command line that begins with `first`: a command's, or that of all."""
    parser = argparse.ArgumentParser(
        prog="underpass",
        description="Carries any application's traffic over HTTP.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and end")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    # A command's start does not wait for what the others could be told.
    for name in first if set(first) & set(COMMANDS) else COMMANDS:
        importlib.import_module(f"underpass.commands.{name}").add(commands)
    return parser
