"""The files of an sshd for the present user only, with keys of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

KEY_SECONDS = 10

CONFIG = """\
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host_key
PidFile none
AuthorizedKeysFile {folder}/user_key.pub
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
LogLevel VERBOSE
"""


def make_sshd_files(folder: Path, port: int, keygen: str | Path) -> Path:
    """Make `folder` with keys, what a client knows the server by, and the configuration.

    Returns the path of that. Clients find ``user_key`` and ``known_hosts`` there.
    """
    folder.mkdir(mode=0o700)
    for name in ("host_key", "user_key"):
        command = [str(keygen), "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True, timeout=KEY_SECONDS)
    if os.geteuid() == 0:
        # Debian's sshd, started by root, separates its privileges there.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    host_key = (folder / "host_key.pub").read_text()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}")
    config = folder / "sshd_config"
    config.write_text(CONFIG.format(port=port, folder=folder))
    return config
