"""Secret files of the state directory: made whole, for their owner alone, and read only as such."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

from underpass.errors import ConfigurationError

# Every secret of ours is far smaller; what is larger is another file.
MAX_BYTES = 64 * 1024


def read_secret_file(path: Path) -> bytes | None:
    """The content of a file that nobody else can read; None where there is no such file.

    Raises `ConfigurationError` where others can read it, or we can't.
    """
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise ConfigurationError(f"{path}: others can read it; run `chmod 600 {path}`")
            return file.read(MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None


def make_secret_file(path: Path, content: bytes) -> bool:
    """Make a file for its owner alone, whole or not at all; False where there is one already.

    Raises `ConfigurationError` where it can't be made.
    """
    # Linked into its place once it is written: another process sees all of it or nothing.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            return _put(draft, path)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(draft)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be made: {error.strerror}") from None


def _put(draft: Path, path: Path) -> bool:
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    return True
