"""`Fields`: an HTTP field section, ordered and immutable (RFC 9110 section 5)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from operator import itemgetter

from underpass.errors import LocalProtocolError

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# RFC 9110 5.5: visible characters and obs-text, with single spaces or tabs only between them.
VALUE = rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?"
_TOKEN = re.compile(TOKEN)
_VALUE = re.compile(VALUE)
_NAME_OF = itemgetter(0)


class Fields:
    """Name and value pairs in the order they came. Names compare without regard to case.

    Names asked for are given in lower case; what is kept keeps its spelling.
    """

    __slots__ = ("_names", "pairs")

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self.pairs = tuple(pairs)
        self._names: list[bytes] = []

    def _index(self) -> list[bytes]:
        """The names in lower case; when first asked for, as half of all heads are only written."""
        self._names = [*map(bytes.lower, map(_NAME_OF, self.pairs))]
        return self._names

    def get(self, name: bytes) -> bytes | None:
        """The value; of a repeated field the values joined by a comma (RFC 9110 5.3); or None."""
        return b", ".join(self.get_all(name)) if name in self else None

    def get_all(self, name: bytes) -> list[bytes]:
        """Each value of the field, in order."""
        names = self._names or self._index()
        if name not in names:
            return []
        if names.count(name) == 1:
            return [self.pairs[names.index(name)][1]]
        return [pair[1] for known, pair in zip(names, self.pairs, strict=True) if known == name]

    def tokens(self, name: bytes) -> list[bytes]:
        """The elements of a comma-separated list (RFC 9110 5.6.1), in lower case."""
        if name not in (self._names or self._index()):
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
        pairs = zip(self._names or self._index(), self.pairs, strict=True)
        return [pair for known, pair in pairs if known not in names]

    def adding(self, name: bytes, value: bytes) -> Fields:
        """The same with one field more at the end.

        Raises `LocalProtocolError` where it would not be one whole, well-formed field line.
        """
        check_field(name, value)
        return Fields((*self.pairs, (name, value)))

    def has_any(self, names: frozenset[bytes]) -> bool:
        """Whether there is a field with one of `names`."""
        return not names.isdisjoint(self._names or self._index())

    def __contains__(self, name: object) -> bool:
        return name in (self._names or self._index())

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fields) and self.pairs == other.pairs

    def __hash__(self) -> int:
        return hash(self.pairs)

    def __repr__(self) -> str:
        # Values may be secrets; names are not.
        return f"<Fields {b', '.join(name for name, _ in self.pairs).decode('latin-1')}>"


def check_field(name: bytes, value: bytes) -> None:
    """Raise `LocalProtocolError` unless the pair can stand as one field line."""
    if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
        raise LocalProtocolError(f"field {name!r} can't be written")
