"""Field sections: order and spelling kept, case ignored, nothing written that is not one line."""

from __future__ import annotations

import pytest

from underpass.errors import LocalProtocolError
from underpass.protocol.http.fields import Fields

FIELDS = Fields([(b"Host", b"a"), (b"X-List", b"One, two"), (b"x-list", b" ,three")])


def test_names_are_found_whatever_their_case() -> None:
    assert b"host" in FIELDS
    assert FIELDS.get(b"host") == b"a"
    assert FIELDS.get(b"x-list") == b"One, two,  ,three"
    assert FIELDS.get(b"absent") is None
    assert FIELDS.get_all(b"x-list") == [b"One, two", b" ,three"]
    assert b"absent" not in FIELDS


def test_lists_are_split_over_all_fields_in_lower_case() -> None:
    assert FIELDS.tokens(b"x-list") == [b"one", b"two", b"three"]
    assert FIELDS.tokens(b"absent") == []


def test_one_of_several_names_is_enough() -> None:
    fields = Fields([(b"Host", b"h"), (b"TE", b"trailers")])
    assert fields.has_any(frozenset({b"te", b"upgrade"}))
    assert not fields.has_any(frozenset({b"upgrade"}))
    assert not Fields().has_any(frozenset({b"te"}))


def test_spelling_and_order_are_kept() -> None:
    assert [name for name, _ in FIELDS] == [b"Host", b"X-List", b"x-list"]
    assert len(FIELDS) == 3


def test_without_drops_every_field_of_the_name() -> None:
    assert FIELDS.without((b"x-list",)) == Fields([(b"Host", b"a")])


def test_equal_fields_are_equal_and_hash_alike() -> None:
    assert Fields([(b"A", b"b")]) == Fields().adding(b"A", b"b")
    assert hash(Fields([(b"A", b"b")])) == hash(Fields().adding(b"A", b"b"))
    assert Fields([(b"A", b"b")]) != [(b"A", b"b")]


def test_values_are_not_printed() -> None:
    assert repr(Fields([(b"Proxy-Authorization", b"secret")])) == "<Fields Proxy-Authorization>"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"", b"x"),
        (b"A b", b"x"),
        (b"A:", b"x"),
        (b"A", b"x\r\nB: y"),
        (b"A", b"x\n"),
        (b"A", b"\0"),
        (b"A", b" x"),
        (b"A", b"x "),
        (b"A\r\n", b"x"),
    ],
)
def test_what_is_not_one_line_is_not_added(name: bytes, value: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        Fields().adding(name, value)
