"""`underpass stdio` as a process: its bytes, its exit codes, how quickly it starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.commands.profiling import keep

# What a stream over http:// without a proxy does without; each is slow to load.
HEAVY = {
    "uvloop",
    "prometheus_client",
    "sqlite3",
    "rich",
    "spnego",
    "truststore",
    "dukpy",
    "msgspec",
    # For the certificates of a server that is reached by TLS, and for its sake alone.
    "cryptography.x509",
    # The hashing of passwords.
    "cryptography.hazmat.primitives.kdf.scrypt",
    # Of another system's settings.
    "urllib.request",
    "http.client",
    # Of one carrier: loaded when one is made.
    "websockets",
    "importlib.metadata",
    "underpass.access",
    "underpass.app",
    "underpass.carriers.get",
    "underpass.carriers.poll",
    "underpass.carriers.stream",
    "underpass.commands.client",
    "underpass.commands.server",
    "underpass.frontends.http",
    "underpass.frontends.socks",
    "underpass.logs",
    "underpass.options",
    "underpass.outbound.pac",
    "underpass.outbound.upstream",
    "underpass.proxy",
    "underpass.server",
    "underpass.server_options",
    "underpass.supervisor",
    "underpass.tunnel_server",
}

# A start as it is, up to where the stream is opened.
PROGRAM = f"""
import sys
from underpass import cli, client_stdio

def told(profile, passage, address):
    print(address, sorted({HEAVY!r} & set(sys.modules)))
    return 0

client_stdio.run_stdio = told
cli.main(["stdio", "work", "--carrier", "websocket", "a.test:22"])
"""


@pytest.mark.slow
def test_it_loads_nothing_that_one_stream_does_not_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Counted in modules, not in milliseconds: those belong to the machine.
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    keep("work")
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.stdout == "a.test:22 []\n", done.stderr
