"""`underpass stdio` as a process: its bytes, its exit codes, how quickly it starts."""

from __future__ import annotations

import subprocess
import sys

# What one stream does without; each is slow to load.
HEAVY = {
    "uvloop",
    "prometheus_client",
    "sqlite3",
    "rich",
    "underpass.app",
    "underpass.logs",
    "underpass.proxy",
    "underpass.supervisor",
    "underpass.frontends.http",
    "underpass.tunnel_server",
}


def test_it_loads_nothing_that_one_stream_does_not_need() -> None:
    # Counted in modules, not in milliseconds: those belong to the machine.
    program = (
        "import sys; from underpass.cli import main; main(['stdio', '--help']);"
        "import underpass.config, underpass.client_stdio;"
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"
