"""Which version of a program is here, if it is here at all."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PEERS = ROOT / "bench" / "peers"
BINARIES = PEERS / "bin"
PEERS_PYTHON = PEERS / ".venv" / "bin" / "python"
ANSWER_SECONDS = 20
# squid and sshd live in sbin, which the PATH of a plain user does not hold.
SYSTEM_PATH = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"


def first_match(command: Sequence[str], pattern: str, *, any_exit: bool = False) -> str | None:
    """The first group of `pattern` in what a command says; None if it is not here or fails."""
    try:
        done = subprocess.run(
            list(command), capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False
        )
    except (FileNotFoundError, PermissionError, subprocess.TimeoutExpired):
        return None
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found and (any_exit or done.returncode == 0) else None


def package_version(python: Path, package: str) -> str | None:
    """The version of a Python package in the environment of `python`."""
    code = f"from importlib.metadata import version; print('is', version({package!r}))"
    return first_match([str(python), "-c", code], r"is (\S+)")


def system_program(name: str) -> str:
    """The path of a program that the system's packages bring; its bare name if it is not here."""
    return shutil.which(name, path=SYSTEM_PATH) or name


def built_program(name: str) -> str:
    """The path of a program that `make peers` built, or that stands in the PATH."""
    own = BINARIES / name
    return str(own) if own.exists() else shutil.which(name) or str(own)
