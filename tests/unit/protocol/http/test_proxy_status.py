"""Proxy-Status: always one well-formed member, whatever is told in it."""

from __future__ import annotations

from typing import Any

import http_sf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.errors import Failure
from underpass.protocol.http.proxy_status import MAX_DETAILS, printable, proxy_status


def test_the_error_is_a_token_and_what_is_known_stands_beside_it() -> None:
    parameters: dict[str, str | int] = {"rcode": "NXDOMAIN", "received-status": 407}
    value = proxy_status("proxy.example", Failure.DNS_ERROR, 'no "name"', parameters)
    assert value == (
        b'proxy.example;error=dns_error;rcode="NXDOMAIN";received-status=407'
        b';details="no \\"name\\""'
    )


@pytest.mark.parametrize("failure", Failure)
def test_every_failure_can_be_told(failure: Failure) -> None:
    assert proxy_status("us", failure) == f"us;error={failure.proxy_error}".encode()


def test_printable_is_one_short_line() -> None:
    assert printable("a\r\nb\x00ü~ ") == "a??b??~ "
    assert len(printable("x" * 1000)) == MAX_DETAILS


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_makes_a_field_that_parses(details: str, rcode: str) -> None:
    value = proxy_status("us", Failure.DNS_ERROR, details, {"rcode": rcode})
    parsed: Any = http_sf.parse(value, tltype="list")
    [(identity, parameters)] = parsed
    assert identity == http_sf.Token("us")
    assert parameters["rcode"] == printable(rcode)
    assert parameters.get("details", "") == printable(details)
