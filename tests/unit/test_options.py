"""The options themselves: every one described, in the manual, and followed."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from underpass import options
from underpass.options import Limits, ProxyOptions


@pytest.mark.parametrize("owner", [ProxyOptions, Limits])
def test_every_option_is_described(owner: type) -> None:
    text = owner.__doc__ or ""
    for field in dataclasses.fields(owner):
        assert (
            f"\n    {field.name}: " in text
            or f" {field.name}: " in text
            or (f"{field.name}, " in text)
        ), field.name


def test_every_option_is_in_the_manual() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    for owner in (ProxyOptions, Limits):
        for field in dataclasses.fields(owner):
            assert f"`{field.name}`" in manual, field.name


def test_every_option_is_followed_by_somebody() -> None:
    source = Path(options.__file__).parent
    text = "".join(path.read_text() for path in source.rglob("*.py"))
    for owner in (ProxyOptions, Limits):
        for field in dataclasses.fields(owner):
            # A password from a file is followed as the one in `via`.
            assert f".{field.name}" in text or field.name == "via_password_file", field.name


def test_processes_are_the_workers_or_one_a_cpu() -> None:
    assert ProxyOptions(workers=3).processes == 3
    assert ProxyOptions(workers=0).processes == len(os.sched_getaffinity(0))
