"""`PacLocation`: where a PAC file is."""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from underpass.carriers.server_url import ServerUrl

PREFIX = "pac+"


@dataclass(frozen=True, slots=True)
class PacLocation:
    """Where a PAC file is: ``http(s)://…``, ``file:///…`` or a path."""

    url: str = ""
    path: Path | None = None

    @classmethod
    def parse(cls, text: str) -> PacLocation:
        """Parse ``pac+http://…``, ``pac+https://…``, ``pac+file:///…`` or ``pac+/path``.

        The prefix may be missing. Raises `ValueError`.
        """
        place = text.removeprefix(PREFIX)
        if place.startswith("file://"):
            parts = urllib.parse.urlsplit(place)
            if parts.netloc not in ("", "localhost"):
                raise ValueError("a PAC file of another machine is at http:// or https://")
            return cls(path=_path(urllib.parse.unquote(parts.path)))
        if "://" not in place:
            return cls(path=_path(place))
        split_url(place)
        return cls(place)

    def __str__(self) -> str:
        return PREFIX + (self.url or f"file://{self.path}")


def _path(text: str) -> Path:
    if not text.startswith("/") or "\0" in text:
        raise ValueError("a PAC file is at http://, https://, file:/// or a path from the root")
    return Path(text)


def split_url(url: str) -> tuple[ServerUrl, str]:
    """The server of a URL, and the rest of it without its first slash. Raises `ValueError`."""
    parts = urllib.parse.urlsplit(url)
    server = ServerUrl.parse(f"{parts.scheme}://{parts.netloc}")
    rest = parts.path.lstrip("/") + (f"?{parts.query}" if parts.query else "")
    if not all("!" <= character <= "~" for character in rest):
        raise ValueError("a URL is printable ASCII without spaces")
    return server, rest
