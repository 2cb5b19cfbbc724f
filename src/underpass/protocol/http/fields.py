"""`Fields`: an HTTP field section, ordered and immutable (RFC 9110 section 5)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from underpass.errors import LocalProtocolError

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# RFC 9110 5.5: visible characters and obs-text, with single spaces or tabs only between them.
VALUE = rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?"
_TOKEN = re.compile(TOKEN)
_VALUE = re.compile(VALUE)


class Fields:
    """Name and value pairs in the order they came. Names compare without regard to case.

    Names asked for are given in lower case; what is kept keeps its spelling.
    """

    __slots__ = ("_names", "_pairs")

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self._pairs = tuple(pairs)
        self._names = [name.lower() for name, _ in self._pairs]

    def get(self, name: bytes) -> bytes | None:
        """The value; of a repeated field the values joined by a comma (RFC 9110 5.3); or None."""
        if name not in self._names:
            return None
        return b", ".join(self.get_all(name))

    def get_all(self, name: bytes) -> list[bytes]:
        """Each value of the field, in order."""
        if name not in self._names:
            return []
        pairs = zip(self._names, self._pairs, strict=True)
        return [value for known, (_, value) in pairs if known == name]

    def tokens(self, name: bytes) -> list[bytes]:
        """The elements of a comma-separated list (RFC 9110 5.6.1), in lower case."""
        if name not in self._names:
            return []
        elements = (
            part.strip(b" \t") for value in self.get_all(name) for part in value.split(b",")
        )
        return [element.lower() for element in elements if element]

    def without(self, names: Collection[bytes]) -> Fields:
        """The same but for fields with one of `names`."""
        return Fields(self.pairs_without(names))

    def pairs_without(self, names: Collection[bytes]) -> list[tuple[bytes, bytes]]:
        """The pairs but for those with one of `names`: cheaper, for what is put together anew."""
        pairs = zip(self._names, self._pairs, strict=True)
        return [pair for known, pair in pairs if known not in names]

    def adding(self, name: bytes, value: bytes) -> Fields:
        """The same with one field more at the end.

        Raises `LocalProtocolError` where it would not be one whole, well-formed field line.
        """
        check_field(name, value)
        return Fields((*self._pairs, (name, value)))

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fields) and self._pairs == other._pairs

    def __hash__(self) -> int:
        return hash(self._pairs)

    def __repr__(self) -> str:
        # Values may be secrets; names are not.
        return f"<Fields {b', '.join(name for name, _ in self._pairs).decode('latin-1')}>"


def check_field(name: bytes, value: bytes) -> None:
    """Raise `LocalProtocolError` unless the pair can stand as one field line."""
    if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
        raise LocalProtocolError(f"field {name!r} can't be written")
