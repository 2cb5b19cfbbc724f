"""What every test may ask for: the programs and libraries that real software needs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings

# The same examples each time, so that a failure is a change's and not the day's (`make fuzz` looks
# for new ones); and no verdict on time, which on a busy machine says nothing of the code.
settings.register_profile(
    "house", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")

# Where Debian keeps what is outside of an ordinary user's PATH: servers (squid, sshd, tinyproxy),
# PostgreSQL of each version, and squid's helpers, whose other folders are those of its own
# installation.
POSTGRESQL = sorted(str(folder) for folder in Path("/usr/lib/postgresql").glob("*/bin"))
SQUID_HELPERS = ("/usr/lib/squid", "/usr/libexec/squid", "/usr/lib64/squid")
SYSTEM_FOLDERS = ("/usr/sbin", "/sbin", "/usr/local/sbin", *POSTGRESQL, *SQUID_HELPERS)

_MISSING = pytest.StashKey[dict[str, list[str]]]()


def find_program(name: str) -> str | None:
    """The path of the program, or None where it is not installed."""
    places = [os.environ.get("PATH", os.defpath), *SYSTEM_FOLDERS]
    return shutil.which(name, path=os.pathsep.join(places))


@pytest.fixture
def lack(request: pytest.FixtureRequest) -> Callable[[str], NoReturn]:
    """End a test for want of something: it fails in CI, and elsewhere is loudly not run."""

    def end(name: str) -> NoReturn:
        missing = request.config.stash.setdefault(_MISSING, {})
        missing.setdefault(name, []).append(request.node.nodeid)
        reason = f"the {name} is not installed (`make setup` installs it)"
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)

    return end


@pytest.fixture
def program(lack: Callable[[str], NoReturn]) -> Callable[[str], Path]:
    """The path of a program that the test can't do without."""

    def find(name: str) -> Path:
        found = find_program(name)
        return Path(found) if found is not None else lack(f"program {name}")

    return find


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """A skipped test is easily overlooked among the passed: name each at the end."""
    missing = config.stash.get(_MISSING, {})
    if not missing:
        return
    terminalreporter.section("NOT RUN", sep="!", red=True, bold=True)
    for name, tests in sorted(missing.items()):
        terminalreporter.line(f"without the {name}:", red=True)
        for test in tests:
            terminalreporter.line(f"    {test}")
