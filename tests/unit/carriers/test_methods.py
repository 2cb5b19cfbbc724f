"""Which methods stand for which."""

from __future__ import annotations

import pytest

from underpass.carriers.methods import Methods


def test_all_methods_are_used_for_what_they_mean() -> None:
    methods = Methods()
    assert methods.begin("T") == ("PUT", "T")
    assert methods.down("T", 3) == ("GET", "T/3")
    assert methods.end("T") == ("DELETE", "T")


def test_post_stands_for_what_is_missing() -> None:
    methods = Methods.parse("post")
    assert methods.can_post
    assert not methods.can_get
    assert methods.begin("T") == ("POST", "T/open")
    assert methods.down("T", 3) == ("POST", "T/down/3")
    assert methods.end("T") == ("POST", "T/end")


def test_get_alone_can_end_a_carrier() -> None:
    assert Methods.parse("GET").end("T") == ("GET", "T/end")


@pytest.mark.parametrize("text", ["", "PUT", "PUT,DELETE", "GET,PATCH"])
def test_refuses_what_can_carry_nothing(text: str) -> None:
    with pytest.raises(ValueError):
        Methods.parse(text)
