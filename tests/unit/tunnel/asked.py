"""A tunnel whose other end is to be asked whether a carrier lives, and does not answer."""

from __future__ import annotations

from tests.unit.tunnel.virtual_time import now
from underpass.tunnel.pulse import Patience, Pulse


class AskedTunnel:
    """Remembers when the other end was to be asked, over which carrier; `delay` in seconds."""

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay
        self.is_idle = False
        self.asked: list[tuple[float, int]] = []

    def ask(self, number: int) -> None:
        self.asked.append((round(now(), 3), number))


def pulse_of(tunnel: AskedTunnel | None = None) -> Pulse:
    """The pulse of carrier 7."""
    return Pulse(tunnel or AskedTunnel(), 7, Patience(), is_prompt=True)
