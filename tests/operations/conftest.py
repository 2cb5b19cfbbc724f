"""What the tests with real programs use, and an origin that says everything back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.origins import LoopThread, echo_origin
from tests.real.conftest import (
    authority,
    curl,
    origins,
    plain,
    proxy,
    secure,
    start_proxy,
    state,
    user_command,
)

__all__ = [
    "authority",
    "curl",
    "echo",
    "origins",
    "plain",
    "proxy",
    "secure",
    "start_proxy",
    "state",
    "user_command",
]


@pytest.fixture
def echo(origins: LoopThread) -> Iterator[str]:
    """The ``host:port`` of an origin that says everything back."""
    with origins.within(echo_origin()) as address:
        yield address
