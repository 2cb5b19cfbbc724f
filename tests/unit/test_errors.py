"""The table of failures, and the tree of exceptions as its text draws it."""

from __future__ import annotations

import inspect
import re

import http_sf
import pytest

from underpass import errors
from underpass.errors import (
    DialError,
    Failure,
    Forbidden,
    LocalProtocolError,
    ProtocolError,
    RemoteProtocolError,
    UnderpassError,
)

# RFC 9209 section 2.3, and the registry it made.
PROXY_ERRORS = {
    "dns_timeout",
    "dns_error",
    "destination_not_found",
    "destination_unavailable",
    "destination_ip_prohibited",
    "destination_ip_unroutable",
    "connection_refused",
    "connection_terminated",
    "connection_timeout",
    "connection_read_timeout",
    "connection_write_timeout",
    "connection_limit_reached",
    "tls_protocol_error",
    "tls_certificate_error",
    "tls_alert_received",
    "http_request_error",
    "http_request_denied",
    "http_response_incomplete",
    "http_response_header_section_size",
    "http_response_header_size",
    "http_response_body_size",
    "http_response_trailer_section_size",
    "http_response_trailer_size",
    "http_response_transfer_coding",
    "http_response_content_coding",
    "http_response_timeout",
    "http_upgrade_failed",
    "http_protocol_error",
    "proxy_internal_response",
    "proxy_internal_error",
    "proxy_configuration_error",
    "proxy_loop_detected",
}


@pytest.mark.parametrize("failure", Failure, ids=lambda failure: failure.name)
def test_a_failure_has_a_code_in_every_protocol(failure: Failure) -> None:
    assert 400 <= failure.status <= 599
    assert failure.proxy_error in PROXY_ERRORS
    # RFC 1928 section 6; 0 is success.
    assert 1 <= failure.socks_reply <= 8
    assert re.fullmatch(r"[a-zA-Z ]+", failure.phrase)
    assert str(http_sf.Token(failure.proxy_error)) == failure.proxy_error


def test_no_phrase_stands_for_two_failures() -> None:
    assert len({failure.phrase for failure in Failure}) == len(Failure)


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (Failure.CONNECTION_TIMEOUT, 504),
        (Failure.DNS_TIMEOUT, 504),
        (Failure.RESPONSE_TIMEOUT, 504),
        (Failure.CONNECTION_REFUSED, 502),
        (Failure.DNS_ERROR, 502),
        (Failure.CONNECTION_LIMIT, 503),
        (Failure.IP_PROHIBITED, 403),
        (Failure.FORBIDDEN, 403),
    ],
)
def test_gateways_answer_by_their_statuses(failure: Failure, status: int) -> None:
    """RFC 9110 15.6: 502 for a bad answer, 503 for our own load, 504 for none in time."""
    assert failure.status == status


def test_the_tree_is_drawn_as_it_is() -> None:
    classes = {
        name: value
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, UnderpassError)
    }
    drawn: list[tuple[int, str]] = [
        (match.start(1), match[1])
        for line in (errors.__doc__ or "").splitlines()
        if (match := re.match(r"[ │├└─]*([A-Z][A-Za-z]+)", line)) and match[1] in classes
    ]
    assert {name for _, name in drawn} == set(classes)
    path: list[tuple[int, str]] = []
    for indent, name in drawn:
        path = [(at, one) for at, one in path if at < indent]
        base = path[-1][1] if path else "Exception"
        assert classes[name].__bases__[0].__name__ == base
        path.append((indent, name))


def test_a_protocol_error_says_how_to_answer() -> None:
    error = RemoteProtocolError("bad chunk", Failure.UPSTREAM_PROTOCOL)
    assert (str(error), error.reason, error.failure) == (
        "bad chunk",
        "bad chunk",
        Failure.UPSTREAM_PROTOCOL,
    )
    assert LocalProtocolError("x").failure is Failure.BAD_REQUEST
    assert isinstance(error, ProtocolError)


def test_a_dial_error_says_what_failed_and_where() -> None:
    error = DialError(Failure.DNS_ERROR, "site.example", parameters={"rcode": "NXDOMAIN"})
    assert str(error) == "name could not be resolved: site.example"
    assert error.parameters == {"rcode": "NXDOMAIN"}
    assert str(Forbidden(Failure.FORBIDDEN)) == "forbidden by policy"
    assert Forbidden(Failure.FORBIDDEN).parameters == {}
