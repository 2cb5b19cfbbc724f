"""The server's own key: what every invite names, and what every handshake is made for."""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path

from underpass.errors import ConfigurationError
from underpass.protocol.noise import KEY_BYTES, public_key
from underpass.server.state_files import make_secret_file, read_secret_file

FILE = "server.key"


def server_key(directory: Path) -> bytes:
    """The private X25519 key in `directory`, made at the first use. Raises `ConfigurationError`.

    It is for its owner alone; one that others can read is refused, not used.
    """
    path = directory / FILE
    text = read_secret_file(path)
    if text is None:
        # Where another process was quicker, its key is the one.
        make_secret_file(path, base64.urlsafe_b64encode(os.urandom(KEY_BYTES)) + b"\n")
        text = read_secret_file(path) or b""
    try:
        key = base64.b64decode(text.strip(), altchars=b"-_", validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigurationError(
            f"{path}: not a key; restore it from a copy, or remove it to make a new one (every "
            "invite and every client then needs a new one too)"
        )
    return key


def server_public_key(directory: Path) -> bytes:
    """The public half of `server_key`, for invites. Raises as that does."""
    return public_key(server_key(directory))
