"""The limit on open files: raised to what is allowed, and told as it is where it stays."""

from __future__ import annotations

import resource

import pytest

from underpass.net.open_files import raise_file_limit


class Kernel:
    """Holds a limit, and may not let it be raised."""

    def __init__(self, soft: int, hard: int, refusal: Exception | None = None) -> None:
        self.limits = (soft, hard)
        self._refusal = refusal

    def getrlimit(self, which: int) -> tuple[int, int]:
        assert which == resource.RLIMIT_NOFILE
        return self.limits

    def setrlimit(self, which: int, limits: tuple[int, int]) -> None:
        assert which == resource.RLIMIT_NOFILE
        if self._refusal is not None:
            raise self._refusal
        self.limits = limits


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        (Kernel(1024, 524_288), 524_288),
        (Kernel(1024, 1024), 1024),
        (Kernel(1024, 4096, ValueError("not allowed")), 1024),
        (Kernel(1024, 4096, PermissionError("not allowed")), 1024),
    ],
    ids=["raised", "as it is", "invalid", "forbidden"],
)
def test_limit_is_raised_where_that_is_allowed(
    monkeypatch: pytest.MonkeyPatch, kernel: Kernel, expected: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", kernel.getrlimit)
    monkeypatch.setattr(resource, "setrlimit", kernel.setrlimit)
    assert raise_file_limit() == expected
    assert kernel.limits[0] == expected
