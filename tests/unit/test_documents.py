"""What the documents say, held against the code: failures, limits, metrics, commands, links …"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

import underpass
from underpass.cli import COMMANDS
from underpass.config import client_kinds, proxy_kinds, server_kinds
from underpass.errors import Failure
from underpass.observe import GAUGES, Counter, Histogram
from underpass.options import Limits, ProxyOptions
from underpass.server_options import ServerLimits

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "bench" / "README.md"])

_FAILURE_ROW = re.compile(r"^\| ([0-9, ]+) \| ((?:`[a-z_]+`(?:, )?)+)", re.MULTILINE)
_OPTION_ROW = re.compile(r"^\| `([a-z_]+)` \| .* \| ([0-9]+) \| .* \|$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
# What is planned says so on its line.
_COMMAND = re.compile(r"(?:^|`)underpass ([a-z]+)\b(?!.*\(later\))", re.MULTILINE)
_WORD = re.compile(r"(?:^|`)make ([a-z-]+)", re.MULTILINE)
_MODULE = re.compile(r"-m ((?:bench|tests|scripts)[a-z_.]*[a-z_])")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def failures(text: str) -> Iterator[tuple[int, str]]:
    """The status and the token of each row of a table of failures."""
    for statuses, tokens in _FAILURE_ROW.findall(text):
        for status in statuses.split(", "):
            for token in re.findall(r"`([a-z_]+)`", tokens):
                yield int(status), token


@pytest.mark.parametrize("page", ["README.md", "docs/proxy.md"])
def test_the_table_of_failures_is_the_one_of_the_code(page: str) -> None:
    # The proxy stops accepting before it ends, so no client of its is ever told that.
    told = set(Failure) - {Failure.DRAINING}
    assert set(failures(read(page))) == {(one.status, one.proxy_error) for one in told}


def test_the_manual_has_the_limits_with_their_defaults() -> None:
    limits = Limits()
    said = dict(_OPTION_ROW.findall(read("docs/configuration.md")))
    named = [key.removeprefix("limits.") for key in proxy_kinds() if key.startswith("limits.")]
    assert {name: float(said[name]) for name in named} == {
        name: float(getattr(limits, name)) for name in named
    }
    assert int(said["workers"]) == ProxyOptions().workers


def test_the_servers_page_has_every_option_and_the_defaults_of_limits() -> None:
    said = dict(_OPTION_ROW.findall(read("docs/server.md")))
    limits = ServerLimits()
    named = [key.removeprefix("limits.") for key in server_kinds() if key.startswith("limits.")]
    assert {name: float(said[name]) for name in named} == {
        name: float(getattr(limits, name)) for name in named
    }
    rows = set(re.findall(r"^\| `([a-z_]+)` \|", read("docs/server.md"), re.MULTILINE))
    assert {key for key in server_kinds() if "." not in key} <= rows


def test_the_clients_page_has_every_option() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \|", read("docs/client.md"), re.MULTILINE)
    assert set(rows) == set(client_kinds())


def test_the_manual_has_every_metric() -> None:
    said = set(re.findall(r"`(underpass_[a-z_]+)(?:\{reason\})?`", read("docs/configuration.md")))
    gauges = {f"underpass_{one.name.lower()}" for one in GAUGES}
    counted = {f"underpass_{one.name.lower()}_total" for one in set(Counter) - GAUGES}
    timed = {f"underpass_{one.name.lower()}" for one in Histogram}
    assert said == gauges | counted | timed


def test_the_library_page_has_every_public_name() -> None:
    page = read("docs/library.md")
    assert [name for name in underpass.__all__ if not re.search(rf"`{name}\b", page)] == []
    for name in underpass.__all__:
        assert getattr(underpass, name).__name__ == name


def anchors(page: Path) -> set[str]:
    """What a link may name in a page, as forges make it of headings."""
    headings = _HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-") for head in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(page.read_text(encoding="utf-8")):
        parts = urllib.parse.urlsplit(link)
        if parts.scheme:
            continue
        target = (page.parent / parts.path).resolve() if parts.path else page
        assert target.exists(), link
        assert not parts.fragment or parts.fragment in anchors(target), link


def commands(text: str) -> str:
    """What of a page is to be typed: its blocks, and what stands between backquotes in a line."""
    lines = _BLOCK.sub("", text)
    return "\n".join([*_BLOCK.findall(text), *re.findall(r"`[^`\n]+`", lines)])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_is_to_be_typed_exists(page: Path) -> None:
    text = commands(page.read_text(encoding="utf-8"))
    assert set(_COMMAND.findall(text)) <= set(COMMANDS)
    assert set(_WORD.findall(text)) <= set(
        re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE)
    )
    for module in _MODULE.findall(text):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module
