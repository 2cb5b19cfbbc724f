"""`underpass stdio` as a process: its bytes, its exit codes, how quickly it starts."""

from __future__ import annotations

import subprocess
import sys

import pytest

# What one stream does without; each is slow to load.
HEAVY = {
    "uvloop",
    "prometheus_client",
    "sqlite3",
    "rich",
    "spnego",
    # For the certificates of a server that is reached by TLS, and for its sake alone.
    "cryptography.x509",
    # Of another system's settings.
    "urllib.request",
    "http.client",
    # Of one carrier: loaded when one is made.
    "websockets",
    "importlib.metadata",
    "underpass.app",
    "underpass.logs",
    "underpass.proxy",
    "underpass.supervisor",
    "underpass.frontends.http",
    "underpass.tunnel_server",
}


@pytest.mark.slow
def test_it_loads_nothing_that_one_stream_does_not_need() -> None:
    # Counted in modules, not in milliseconds: those belong to the machine.
    program = (
        "import sys; from underpass.cli import main; main(['stdio', '--help']);"
        "import underpass.config, underpass.client_stdio;"
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"
