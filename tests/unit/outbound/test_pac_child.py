"""What a PAC file can call, in the process that runs it and beside it."""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys

import pytest

from underpass.outbound import pac_child
from underpass.outbound.pac_child import CPU_SECONDS, MAX_FOUND, MEMORY_BYTES, find, own, resolve

URL, HOST = "https://tunnel.example:443/", "tunnel.example"


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name servers that know one name."""
    known = {"tunnel.example": "192.0.2.7"}
    monkeypatch.setattr(pac_child, "resolve", lambda host: known.get(host, ""))
    monkeypatch.setattr(pac_child, "own", lambda: "10.1.2.3")


def value(expression: str, before: str = "") -> object:
    script = f"{before}; function FindProxyForURL(url, host) {{ return String({expression}); }}"
    return find(script, URL, HOST)


@pytest.mark.parametrize(
    "expression",
    [
        "isPlainHostName('www')",
        "dnsDomainIs(host, '.example')",
        "dnsDomainIs('WWW.Example.COM', '.example.com')",
        "localHostOrDomainIs('www', 'www.example.com')",
        "localHostOrDomainIs('www.example.com', 'www.example.com')",
        "isResolvable(host)",
        "dnsResolve(host) === '192.0.2.7'",
        "dnsResolve('none.example') === null",
        "myIpAddress() === '10.1.2.3'",
        "isInNet(host, '192.0.2.0', '255.255.255.0')",
        "isInNet('198.18.1.1', '198.18.0.0', '255.254.0.0')",
        "isInNet(myIpAddress(), '10.0.0.0', '255.0.0.0')",
        "dnsDomainLevels('a.b.c') === 2",
        "shExpMatch(url, 'https://*.example:*')",
        "shExpMatch('a.b', '?.b')",
        "shExpMatch('a+(b)', 'A+(*)')",
        "convert_addr('1.2.3.4') === 16909060",
        "convert_addr('255.255.255.255') === 4294967295",
        "alert('nothing') === undefined",
        "weekdayRange('SUN', 'SAT')",
        "timeRange(0, 23)",
    ],
)
def test_functions_of_browsers_are_there(expression: str) -> None:
    assert value(expression) == "true"


@pytest.mark.parametrize(
    "expression",
    [
        "isPlainHostName(host)",
        "dnsDomainIs(host, '.other')",
        "localHostOrDomainIs('home', 'www.example.com')",
        "localHostOrDomainIs('ww', 'www.example.com')",
        "isResolvable('none.example')",
        "isInNet('none.example', '0.0.0.0', '0.0.0.0')",
        "isInNet('192.0.3.1', '192.0.2.0', '255.255.255.0')",
        "isInNet('999.0.2.1', '0.0.0.0', '0.0.0.0')",
        "isInNet(host, 'nonsense', '255.0.0.0')",
        "shExpMatch('axb', 'a.b')",
        "weekdayRange('XXX')",
        "timeRange()",
        "timeRange('x')",
        "dateRange()",
        "dateRange('JUN', 3)",
    ],
)
def test_functions_of_browsers_say_no(expression: str) -> None:
    assert value(expression) == "false"


# Wednesday, the 17th of June 2026, 10:30:15, here and in Greenwich.
CLOCK = """
var RealDate = Date;
Date = function (at) { return at === undefined ? new RealDate(2026, 5, 17, 10, 30, 15)
                                               : new RealDate(at); };
RealDate.prototype.getTimezoneOffset = function () { return 0; };
"""


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("weekdayRange('WED')", "true"),
        ("weekdayRange('MON', 'FRI')", "true"),
        ("weekdayRange('SAT', 'WED')", "true"),
        ("weekdayRange('THU', 'TUE')", "false"),
        ("weekdayRange('WED', 'GMT')", "true"),
        ("timeRange(10)", "true"),
        ("timeRange(9)", "false"),
        ("timeRange(8, 10)", "true"),
        ("timeRange(22, 6)", "false"),
        ("timeRange(22, 11)", "true"),
        ("timeRange(10, 0, 10, 29)", "false"),
        ("timeRange(10, 30, 10, 40)", "true"),
        ("timeRange(10, 30, 15, 10, 30, 15, 'GMT')", "true"),
        ("timeRange(10, 30, 16, 10, 30, 20)", "false"),
        ("dateRange(17)", "true"),
        ("dateRange('JUN')", "true"),
        ("dateRange('JUL')", "false"),
        ("dateRange(2026, 'GMT')", "true"),
        ("dateRange(1, 16)", "false"),
        ("dateRange('MAY', 'JUL')", "true"),
        ("dateRange('OCT', 'MAR')", "false"),
        ("dateRange(1, 'JUN', 17, 'JUN')", "true"),
        ("dateRange(18, 'JUN', 1, 'JUN')", "false"),
        ("dateRange('JUN', 2025, 'MAY', 2026)", "false"),
        ("dateRange(1, 'JUN', 2026, 18, 'JUN', 2026)", "true"),
    ],
)
def test_ranges_of_time_are_compared_with_the_clock(expression: str, expected: str) -> None:
    assert value(expression, CLOCK) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "require('dukpy')",
        "require('fs')",
        "call_python('dukpy.load_module', '/etc/passwd')",
        "XMLHttpRequest",
        "fetch('http://example')",
    ],
)
def test_nothing_else_of_the_world_can_be_reached(expression: str) -> None:
    with pytest.raises(ValueError):
        value(f"({expression}).length")


@pytest.mark.parametrize(
    "script",
    [
        "function FindProxyForURL() { return null; }",
        f"function FindProxyForURL() {{ return 'x'.repeat({MAX_FOUND + 1}); }}",
        "function FindProxyForURL() { throw new Error('broken'); }",
        "function FindProxyForURL(u, h) { return FindProxyForURL(u, h); }",
    ],
)
def test_what_says_nothing_is_a_value_error(script: str) -> None:
    with pytest.raises(ValueError) as caught:
        find(script, URL, HOST)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("script", "key"), [("function FindProxyForURL() { return 'DIRECT'; }", "found"), ("", "error")]
)
def test_one_object_is_read_and_one_written(
    script: str, key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = json.dumps({"script": script, "url": URL, "host": HOST})
    monkeypatch.setattr(sys, "stdin", io.StringIO(asked))
    pac_child.main()
    assert list(json.loads(capsys.readouterr().out)) == [key]


def test_the_process_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds: dict[int, tuple[int, int]] = {}
    monkeypatch.setattr(resource, "setrlimit", lambda kind, value: bounds.update({kind: value}))
    pac_child.limit()
    assert bounds[resource.RLIMIT_CPU] == (CPU_SECONDS, CPU_SECONDS)
    assert bounds[resource.RLIMIT_AS] == (MEMORY_BYTES, MEMORY_BYTES)
    assert bounds[resource.RLIMIT_FSIZE] == (0, 0)


def test_a_name_that_is_none_has_no_address() -> None:
    assert resolve("127.0.0.1") == "127.0.0.1"
    assert resolve("a" * 300) == ""
    assert own().count(".") in (0, 3)


@pytest.mark.slow
def test_a_process_that_works_too_long_is_ended_by_the_system() -> None:
    asked = json.dumps(
        {"script": "function FindProxyForURL() { while (1); }", "url": URL, "host": HOST}
    )
    ended = subprocess.run(
        [sys.executable, "-I", "-m", "underpass.outbound.pac_child"],
        input=asked.encode(),
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode < 0
    assert ended.stdout == b""
