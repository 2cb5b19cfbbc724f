"""``underpass status``."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from underpass.commands.base import EXIT_OK, Commands, add_command
from underpass.commands.flags import given_flags
from underpass.commands.profiles import add_arguments, load_setup

if TYPE_CHECKING:
    from underpass.client.control import Status

_TEXT = """\
What the running client of a profile says: over which carrier and route, the round-trip time, how
many streams, what it has moved, since when. Ends with 2 where none is running.
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "status", "ask a running client how it is", _TEXT)
    add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace, _: list[str]) -> int:
    from underpass.client.control import ask, socket_path  # noqa: PLC0415 - when it runs

    setup = load_setup(arguments, given_flags(arguments, (("state", "", ""),)))
    status = ask(socket_path(setup.profile.path, setup.options.state))
    print(json.dumps(status) if arguments.json else in_words(status, time.time()))
    return EXIT_OK


def in_words(status: Status, now: float) -> str:
    """The status for people, a line a fact; `now` in seconds since 1970."""
    facts: Mapping[str, object] = {
        "server": f"{status.get('server')}, as {status.get('user')}",
        "tunnel": _tunnel(status, now),
        "streams": status.get("streams"),
        "sent": f"{status.get('sent')} bytes",
        "received": f"{status.get('received')} bytes",
    }
    lines = [f"{name:9} {value}" for name, value in facts.items()]
    listening = status.get("listening")
    if isinstance(listening, list):
        lines += [f"listening {one}" for one in listening]
    return "\n".join(lines)


def _tunnel(status: Status, now: float) -> str:
    since, delay = status.get("since"), status.get("delay")
    if not status.get("up") or not isinstance(since, int | float):
        return "down"
    milliseconds = delay * 1000 if isinstance(delay, int | float) else 0
    return f"up for {now - since:.0f} s: {status.get('carrier')}, {milliseconds:.0f} ms"
