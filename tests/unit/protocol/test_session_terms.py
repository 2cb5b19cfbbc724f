"""The terms of a session, and those that hold where nothing was agreed."""

from __future__ import annotations

import dataclasses

import pytest

from underpass.protocol.session_terms import SessionTerms
from underpass.protocol.stream_table import StreamLimits


def test_the_defaults_are_those_of_the_page() -> None:
    terms = SessionTerms(b"id")
    assert terms.own == terms.other == StreamLimits(streams=1024, initial_window=32 * 1024)
    assert terms.pool == 32 * 1024 * 1024
    assert (terms.grace, terms.keepalive) == (600.0, 30.0)


def test_terms_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        SessionTerms(b"id").grace = 1.0  # type: ignore[misc]  # that is the point
