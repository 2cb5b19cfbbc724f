"""One value of an option: what is taken as it is, what is converted, what is refused."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from msgspec import Meta

from underpass.option_kinds import Kind
from underpass.option_values import value_of

TEXT = Kind(str, "a word")
WORDS = Kind(str, "words", str.upper, many=True)
CHOICE = Kind(Literal["a", "b"], "a or b")
COUNT = Kind(Annotated[int, Meta(ge=1)], "a number from 1")


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        (TEXT, "x", "x"),
        (CHOICE, "b", "b"),
        (COUNT, "3", 3),
        (WORDS, "x, y z", ("X", "Y", "Z")),
        (WORDS, " , ", ()),
        (WORDS, ["x"], ("X",)),
    ],
)
def test_text_is_what_it_says(kind: Kind, raw: object, value: object) -> None:
    assert value_of(kind, raw, textual=True) == value


@pytest.mark.parametrize(
    ("kind", "raw", "value"), [(TEXT, "x", "x"), (COUNT, 3, 3), (WORDS, ["x"], ("X",))]
)
def test_a_file_has_types(kind: Kind, raw: object, value: object) -> None:
    assert value_of(kind, raw, textual=False) == value


@pytest.mark.parametrize(
    ("kind", "raw", "got"),
    [
        (TEXT, 1, "expected a word, got 1"),
        (CHOICE, "c", r"expected a or b, got a string \('c'\)"),
        (COUNT, "3", r"expected a number from 1, got a string \('3'\)"),
        (COUNT, 0, "expected a number from 1, got 0"),
        (WORDS, "x", r"expected words, got a string \('x'\)"),
        (WORDS, ["x", 1], "expected words, got a list with 1"),
        (TEXT, ["x"], "expected a word, got a list"),
        (TEXT, True, "expected a word, got a boolean"),
        (TEXT, {}, "expected a word, got a table"),
    ],
)
def test_what_is_of_another_type_is_described(kind: Kind, raw: object, got: str) -> None:
    with pytest.raises(ValueError, match=f"^{got}$"):
        value_of(kind, raw, textual=False)
