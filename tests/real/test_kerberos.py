"""squid that takes Kerberos' tickets as the upstream proxy: logged in to without a password."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.origins import HttpOrigin
from tests.real.conftest import LOOPBACK, Curl, StartProxy
from tests.real.kerberos_realm import HOST, PASSWORD, REALM, SERVICE, USER, Realm, realm
from tests.real.test_parents import (
    check_long_form,
    check_served,
    squid,
    squid_folder,
)
from tests.real.tunnel import tunnel_in
from underpass.outbound.bound_login import has_tickets

pytestmark = pytest.mark.real

__all__ = ["squid_folder"]

NEGOTIATE = """\
auth_param negotiate program {helper} -k {keytab} -s {service}
auth_param negotiate children 4
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all
"""


@pytest.fixture
def members(
    program: Callable[[str], Path],
    lack: Callable[[str], NoReturn],
    squid_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Realm]:
    """A realm; whatever the test starts belongs to it."""
    if not has_tickets():
        lack("libraries for Kerberos (gssapi and krb5)")
    # squid's helper reads the realm's configuration, as whom squid works as.
    folder = squid_folder / "realm"
    folder.mkdir()
    with realm(program, folder) as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def upstream(program: Callable[[str], Path], members: Realm, squid_folder: Path) -> Iterator[str]:
    """squid's URL, by the name that its tickets are for."""
    keytab = squid_folder / "keytab"
    shutil.copy(members.keytab, keytab)
    keytab.chmod(0o644)
    helper = program("negotiate_kerberos_auth")
    access = NEGOTIATE.format(helper=helper, keytab=keytab, service=SERVICE)
    with squid(program, squid_folder, access) as port:
        yield f"http://{HOST}:{port}"


def test_a_ticket_is_all_that_the_proxy_needs(
    curl: Curl,
    start_proxy: StartProxy,
    members: Realm,
    upstream: str,
    squid_folder: Path,
    tmp_path: Path,
    plain: HttpOrigin,
    secure: HttpOrigin,
) -> None:
    members.log_in()
    proxy = start_proxy("--via", upstream, *LOOPBACK)
    check_served(curl, proxy.url, plain, secure)
    form = curl("-x", proxy.url, "-d", "a" * 1000, f"{plain.url}/upload")
    assert json.loads(form.output)["length"] == 1000
    check_long_form(curl, proxy.url, plain, tmp_path)
    log = (squid_folder / "access.log").read_text().splitlines()
    assert all(f" {USER}@{REALM} " in line for line in log if "/200 " in line)
    # One answer told which login it wants; it was never asked again.
    assert sum("TCP_DENIED/407" in line for line in log) == 1
    # The password was needed once, by kinit, and one ticket for all streams.
    assert members.asked() == ["AS_REQ", "TGS_REQ"]


def test_a_ticket_is_all_that_a_tunnel_needs(
    curl: Curl, members: Realm, upstream: str, squid_folder: Path, tmp_path: Path, plain: HttpOrigin
) -> None:
    members.log_in()
    folder = tmp_path / "tunnel"
    folder.mkdir()
    with tunnel_in(folder) as tunnel:
        tunnel.join("alice")
        client = tunnel.start_client("alice", "--via", upstream)
        front_end = f"http://127.0.0.1:{client.port('http')}"
        result = curl("-x", front_end, f"{plain.url}/bytes/200000")
        assert (result.code, len(result.output)) == (0, 200_000), result.errors
    log = (squid_folder / "access.log").read_text()
    assert f" {USER}@{REALM} " in log


def test_without_a_ticket_it_is_told_what_is_missing(
    curl: Curl, start_proxy: StartProxy, upstream: str, plain: HttpOrigin
) -> None:
    proxy = start_proxy("--via", upstream, *LOOPBACK)
    result = curl("-x", proxy.url, f"{plain.url}/bytes/100")
    assert "no login by negotiate: No Kerberos credentials available" in result.text


def test_a_password_is_not_shown_to_the_centre(
    curl: Curl, start_proxy: StartProxy, members: Realm, upstream: str, plain: HttpOrigin
) -> None:
    via = upstream.replace("//", f"//{USER}@")
    proxy = start_proxy("--via", via, *LOOPBACK, UNDERPASS_VIA_PASSWORD=PASSWORD)
    result = curl("-x", proxy.url, f"{plain.url}/bytes/100")
    assert "the proxy took no login by negotiate" in result.text
    assert members.asked() == []
