"""`Telling`: what a client's commands say of their tunnel, in words, and each thing once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from underpass.tunnel.keeper import TunnelDown, TunnelUp

logger = logging.getLogger(__name__)


class Telling:
    """The words of one tunnel."""

    def __init__(self) -> None:
        self._reasons: frozenset[str] = frozenset()

    def up(self, event: TunnelUp) -> str:
        """Over what it is up."""
        self._reasons = frozenset()
        return f"tunnel up: {event.carrier}, {event.delay * 1000:.0f} ms"

    def down(self, event: TunnelDown) -> str | None:
        """Why it is not; None where that was said already, and nothing has changed."""
        reasons = frozenset(event.reasons)
        if reasons == self._reasons:
            return None
        self._reasons = reasons
        return f"no tunnel, trying again: {'; '.join(grouped(event.reasons)) or 'no way out'}"


def complaining() -> Callable[[TunnelUp | TunnelDown], None]:
    """Hears of a tunnel for a command whose output is another's: why it is down goes to the log."""
    telling = Telling()

    def hear(event: TunnelUp | TunnelDown) -> None:
        if isinstance(event, TunnelUp):
            telling.up(event)
        elif (why := telling.down(event)) is not None:
            logger.warning("%s", why)

    return hear


def grouped(reasons: Sequence[str]) -> list[str]:
    """Reasons such as ``poll, direct: refused``; kinds of carriers that share one are together."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for reason in reasons:
        name, _, why = reason.partition(": ")
        kind, _, way = name.partition(", ")
        kinds.setdefault((way, why), []).append(kind)
    return [
        f"{', '.join([*those, way] if way else those)}: {why}"
        for (way, why), those in kinds.items()
    ]
