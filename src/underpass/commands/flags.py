"""Flags that are options of the configuration: how commands list, add and read them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeAlias

# (option, metavar, help); the option's name is its key in the configuration. Without a metavar it
# is a switch.
Flags: TypeAlias = tuple[tuple[str, str, str], ...]

RULES_TEXT = """\
ADDR is host:port, [v6]:port (port 0: any free one) or unix:PATH.
RULE is a name, a suffix, an address or a network, with an optional port or range:
  example.com  *.example.com:443  10.0.0.0/8  127.0.0.1:5432  [::1]:8000-8100
"""
"""What commands that take rules say of them in their help."""


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add what names a file of options."""
    parser.add_argument("--config", metavar="FILE", type=Path, help="read options from this TOML")


def add_flags(parser: argparse.ArgumentParser, flags: Flags, lists: str = "") -> None:
    """Add options by name; those named in `lists` may be repeated."""
    for key, metavar, text in flags:
        flag = "--" + key.replace("_", "-")
        if not metavar:
            parser.add_argument(flag, dest=key, help=text, action="store_const", const="true")
            continue
        action = "append" if key in lists.split() else "store"
        parser.add_argument(flag, dest=key, metavar=metavar, help=text, action=action)


def given_flags(arguments: argparse.Namespace, *tables: Flags) -> dict[str, object]:
    """What was given of the options in these tables, by name."""
    return {key: getattr(arguments, key) for table in tables for key, _, _ in table}
