"""A Kerberos realm on loopback: its key distribution centre, a user, and the key of a proxy."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.real.processes import clean_environment, free_port, serving

REALM, USER, PASSWORD = "UNDERPASS.TEST", "carol", "open sesame"
# The name under which clients know the proxy.
HOST = "localhost"
SERVICE = f"HTTP/{HOST}@{REALM}"
COMMAND_SECONDS = 30

# No name of the realm is asked for outside.
CLIENTS = """\
[libdefaults]
default_realm = {realm}
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
rdns = false
[realms]
{realm} = {{
kdc = 127.0.0.1:{port}
}}
[domain_realm]
{host} = {realm}
"""

CENTRE = """\
[kdcdefaults]
kdc_listen = 127.0.0.1:{port}
kdc_tcp_listen = 127.0.0.1:{port}
[realms]
{realm} = {{
database_name = {folder}/principal
key_stash_file = {folder}/stash
}}
[logging]
kdc = FILE:{folder}/kdc.log
"""


@dataclass(frozen=True)
class Realm:
    """See the module. `environment` is what its members have set."""

    folder: Path
    program: Callable[[str], Path]
    environment: dict[str, str]

    @property
    def keytab(self) -> Path:
        """The proxy's key."""
        return self.folder / "proxy.keytab"

    def run(self, name: str, *arguments: str, stdin: str = "") -> None:
        """Run a program of Kerberos."""
        subprocess.run(
            [self.program(name), *arguments],
            input=stdin,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=clean_environment(**self.environment),
            text=True,
            timeout=COMMAND_SECONDS,
            check=True,
        )

    def log_in(self) -> None:
        """Get the user's ticket, as logging in to a computer of the company's does."""
        self.run("kinit", USER, stdin=PASSWORD)

    def asked(self) -> list[str]:
        """What the centre was asked for: by a password (AS_REQ), by a ticket (TGS_REQ)."""
        lines = (self.folder / "kdc.log").read_text().splitlines()
        return [word for line in lines for word in ("AS_REQ", "TGS_REQ") if f"{word} " in line]


@contextlib.contextmanager
def realm(program: Callable[[str], Path], folder: Path) -> Iterator[Realm]:
    """Make a realm and run its centre."""
    port = free_port()
    names = {"realm": REALM, "host": HOST, "folder": folder, "port": port}
    clients, centre = folder / "krb5.conf", folder / "kdc.conf"
    clients.write_text(CLIENTS.format(**names))
    centre.write_text(CENTRE.format(**names))
    environment = {
        "KRB5_CONFIG": str(clients),
        "KRB5_KDC_PROFILE": str(centre),
        "KRB5CCNAME": f"FILE:{folder}/tickets",
    }
    made = Realm(folder, program, environment)
    made.run("kdb5_util", "create", "-s", "-P", "master", "-r", REALM)
    made.run("kadmin.local", "-q", f'addprinc -pw "{PASSWORD}" {USER}')
    made.run("kadmin.local", "-q", f"addprinc -randkey {SERVICE}")
    made.run("kadmin.local", "-q", f"ktadd -k {made.keytab} {SERVICE}")
    with serving([program("krb5kdc"), "-n"], folder / "centre.out", port, **environment):
        yield made
