"""Options as the text of a file, for people to read."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from underpass.access import Rule
from underpass.options import Limits, ProxyOptions
from underpass.server_options import ServerLimits, ServerOptions


def show(options: ProxyOptions | ServerOptions) -> str:
    """The options as TOML, every one, with secrets redacted; what is not set is a comment."""
    table = "proxy" if isinstance(options, ProxyOptions) else "server"
    lines = [f"[{table}]"]
    lines += [_shown(f.name, getattr(options, f.name)) for f in _fields(options)]
    lines += ["", f"[{table}.limits]"]
    lines += [_shown(f.name, getattr(options.limits, f.name)) for f in _fields(options.limits)]
    return "\n".join(lines) + "\n"


def _fields(
    options: ProxyOptions | Limits | ServerOptions | ServerLimits,
) -> list[dataclasses.Field[Any]]:
    return [field for field in dataclasses.fields(options) if field.name != "limits"]


def _shown(name: str, value: object) -> str:
    if value is None:
        return f"# {name} is not set"
    if isinstance(value, tuple):
        return f"{name} = [{', '.join(_scalar(item) for item in value)}]"
    return f"{name} = {_scalar(value)}"


def _scalar(value: object) -> str:
    if isinstance(value, Rule):
        value = _rule_text(value)
    if isinstance(value, bool):
        return str(value).lower()
    # A JSON string is a TOML basic string: the same escapes.
    return str(value) if isinstance(value, int | float) else json.dumps(str(value))


def _rule_text(rule: Rule) -> str:
    """A rule as it is written in a file, without its effect."""
    text = str(rule)
    return text.removeprefix(f"{rule.effect.value} ")
