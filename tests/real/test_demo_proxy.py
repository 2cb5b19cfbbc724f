"""The proxy's demo (`make demo-proxy`), run as a user does, and how it says what failed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from scripts import demo_parts, demo_proxy

from tests.real.demos import check_shown, run_demo

pytestmark = pytest.mark.real

DEMO_SECONDS = 45


@pytest.mark.slow
def test_demo_shows_all_and_leaves_nothing(program: Callable[[str], Path], tmp_path: Path) -> None:
    program("curl")
    shown = (
        "Hello from a plain HTTP server.",
        "8.0 MB after",
        "403 Proxy-Status: underpass;error=destination_ip_prohibited;",
        "Destination address prohibited: 169.254.169.254:80",
        '407 Proxy-Authenticate: Basic realm="underpass"',
        " 200 demo 127.0.0.1 ",
        "All as it should be, in ",
    )
    check_shown("demo_proxy", DEMO_SECONDS, tmp_path, shown)


def test_without_curl_it_says_how_to_get_it(tmp_path: Path) -> None:
    done = run_demo("demo_proxy", DEMO_SECONDS, tmp_path, PATH=str(tmp_path))
    assert done.returncode == 1
    assert "curl is not installed" in done.stderr
    assert "apt-get install\ncurl" in done.stderr


@pytest.mark.slow
def test_a_fetch_that_fails_ends_it_with_the_reason(tmp_path: Path) -> None:
    programs, folder = tmp_path / "bin", tmp_path / "tmp"
    programs.mkdir()
    folder.mkdir()
    curl = programs / "curl"
    curl.write_text("#!/bin/sh\necho 'curl: (7) no luck' >&2\nexit 7\n")
    curl.chmod(0o755)
    done = run_demo("demo_proxy", DEMO_SECONDS, folder, PATH=str(programs))
    assert done.returncode == 1
    assert "The demo failed: curl could not fetch http://127.0.0.1:" in done.stderr
    assert "curl: (7) no luck" in done.stderr
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_a_proxy_that_does_not_start_is_reported(tmp_path: Path) -> None:
    with (
        pytest.raises(demo_parts.DemoError, match=r"ended at its start:\n(?s:.)*expected a port"),
        demo_proxy.proxy(tmp_path / "log", "--allow", "wonder:land"),
    ):
        pass


@pytest.mark.parametrize(
    ("output", "url"),
    [
        ("", None),
        ("listening http://127.0.0.1:80", None),
        ("listening http://127.0.0.1:8080\n", "http://127.0.0.1:8080"),
        ("something else\n", None),
    ],
)
def test_listening_line_is_taken_when_whole(output: str, url: str | None) -> None:
    assert demo_parts.listening_url(output) == url


def test_answer_finds_fields_whatever_their_case() -> None:
    answer = demo_parts.Answer(200, "HTTP/1.1 200 OK\r\nVia: 1.1 a\r\n\r\n", b"", 0.1)
    assert answer.field("via") == "1.1 a"
    assert answer.field("Age") == ""


def test_another_status_than_expected_is_a_failure() -> None:
    answer = demo_parts.Answer(502, "HTTP/1.1 502 Bad Gateway\r\n\r\n", b"", 0.1)
    assert demo_parts.expect(answer, 502) is answer
    with pytest.raises(demo_parts.DemoError, match="expected the status 200, got 502"):
        demo_parts.expect(answer, 200)
