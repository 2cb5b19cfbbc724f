"""git over HTTPS: a clone and a push through CONNECT."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.origins import Authority, LoopThread, http_origin
from tests.real.git_backend import git_backend
from tests.real.processes import ProxyProcess, clean_environment

pytestmark = pytest.mark.real

Git = Callable[..., str]


@pytest.fixture
def git(program: Callable[[str], Path], authority: Authority, tmp_path: Path) -> Git:
    """Run git with this test's settings alone."""
    path = program("git")
    settings = clean_environment(
        HOME=str(tmp_path),
        GIT_CONFIG_NOSYSTEM="1",
        GIT_SSL_CAINFO=str(authority.ca_file),
        GIT_TERMINAL_PROMPT="0",
        **{f"GIT_{role}_NAME": "Tester" for role in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{role}_EMAIL": "tester@example.com" for role in ("AUTHOR", "COMMITTER")},
    )

    def run(*arguments: str | Path) -> str:
        done = subprocess.run(
            [path, *arguments],
            env=settings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


def test_clone_and_push_are_carried_whole(
    git: Git,
    program: Callable[[str], Path],
    proxy: ProxyProcess,
    origins: LoopThread,
    authority: Authority,
    tmp_path: Path,
) -> None:
    root = tmp_path / "repositories"
    git("init", "-q", "--bare", "-b", "main", root / "one.git")
    git("-C", root / "one.git", "config", "http.receivepack", "true")
    through = ("-c", f"http.proxy={proxy.url}")
    first, second = tmp_path / "first", tmp_path / "second"
    with origins.within(
        http_origin({"/git": git_backend(program("git"), root)}, authority.server_context())
    ) as origin:
        url = f"{origin.url}/git/one.git"
        git(*through, "clone", "-q", url, first)
        git("-C", first, "checkout", "-q", "-B", "main")
        # Above git's 1 MiB post buffer, so that the push goes out chunked.
        (first / "data").write_bytes(random.Random(1).randbytes(3_000_000))
        git("-C", first, "add", "data")
        git("-C", first, "commit", "-q", "-m", "Add data")
        git("-C", first, *through, "push", "-q", "origin", "main")
        git(*through, "clone", "-q", "-b", "main", url, second)
    assert git("-C", second, "rev-parse", "HEAD") == git("-C", first, "rev-parse", "HEAD")
    assert (second / "data").read_bytes() == (first / "data").read_bytes()
    assert all("CONNECT" in line for line in proxy.lines() if " 200 " in line)
