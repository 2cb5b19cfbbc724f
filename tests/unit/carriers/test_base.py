"""What carriers say of their end."""

from __future__ import annotations

from underpass.carriers.base import CarrierError, first_error


def test_an_error_says_why() -> None:
    error = CarrierError("no", 503, 2.0)
    assert (str(error), error.reason, error.status, error.retry_after) == ("no", "no", 503, 2.0)


def test_of_several_errors_the_first_counts() -> None:
    first = CarrierError("first")
    group = BaseExceptionGroup("", [BaseExceptionGroup("", [first]), CarrierError("second")])
    assert first_error(group) is first


def test_a_bug_is_not_hidden_behind_an_error() -> None:
    group = BaseExceptionGroup("", [CarrierError("first"), ZeroDivisionError()])
    assert first_error(group) is group
