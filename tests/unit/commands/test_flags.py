"""Flags that are options: added from a table, read back by name."""

from __future__ import annotations

import argparse

from underpass.commands.flags import Flags, add_config, add_flags, given_flags

FLAGS: Flags = (
    ("listen", "ADDR", "where"),
    ("log_file", "FILE", "whither"),
    ("tls_self", "", "whether"),
)


def parsed(*argv: str) -> dict[str, object]:
    parser = argparse.ArgumentParser()
    add_config(parser)
    add_flags(parser, FLAGS, "listen allow")
    return given_flags(parser.parse_args(argv), FLAGS)


def test_a_list_may_be_repeated_and_a_switch_takes_no_value() -> None:
    given = parsed("--listen", "a:1", "--tls-self", "--log-file", "x", "--listen", "b:2")
    assert given == {"listen": ["a:1", "b:2"], "log_file": "x", "tls_self": "true"}


def test_what_was_not_given_is_none() -> None:
    assert parsed("--config", "a.toml") == {"listen": None, "log_file": None, "tls_self": None}
