"""One value of an option: checked by its kind, parsed, described where it is wrong."""

from __future__ import annotations

import re
from typing import Any, get_args

from underpass.option_kinds import Kind

# As much of a wrong value as fits on a line.
_SHOWN = 40


def value_of(kind: Kind, raw: object, *, textual: bool) -> object:
    """Check and parse one value; `textual`: numbers and lists come as text.

    Raises `ValueError` with a reason that follows "key: ".
    """
    if kind.many and textual and isinstance(raw, str):
        raw = re.split(r"[\s,]+", raw.strip(", \t\n")) if raw.strip(", \t\n") else []
    value: Any = raw if _is_as_told(kind, raw) else _converted(kind, raw, textual)
    if kind.parse is None:
        return value
    return tuple(map(kind.parse, value)) if kind.many else kind.parse(value)


def _is_as_told(kind: Kind, raw: Any) -> bool:
    """Whether `raw` is text that is to be text. Most is; what converts the rest loads slowly."""
    if kind.many != isinstance(raw, list):
        return False
    # Of a literal, its values.
    texts = get_args(kind.wire)
    return all(
        isinstance(one, str) and (kind.wire is str or one in texts)
        for one in (raw if kind.many else [raw])
    )


def _converted(kind: Kind, raw: object, textual: bool) -> Any:
    import msgspec  # noqa: PLC0415 - see `_is_as_told`

    wire = list[kind.wire] if kind.many else kind.wire  # type: ignore[name-defined]  # made as it runs
    try:
        return msgspec.convert(raw, wire, strict=not textual)
    except msgspec.ValidationError:
        # Outside of a file everything is text, and nobody wrote quotes there.
        got = f"{raw[:_SHOWN]!a}" if textual and isinstance(raw, str) else described(raw)
        raise ValueError(f"expected {kind.expected}, got {got}") from None


def described(raw: object) -> str:
    """What a wrong value is, in words."""
    match raw:
        case bool():
            return "a boolean"
        case int() | float():
            return str(raw)
        case str():
            return f"a string ({raw[:_SHOWN]!a})"
        case list():
            wrong = next((item for item in raw if not isinstance(item, str)), None)
            return "a list" if wrong is None else f"a list with {described(wrong)}"
        case dict():
            return "a table"
        case _:
            return f"a {type(raw).__name__}"
