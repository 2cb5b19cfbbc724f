"""What arrived of numbered packets, reduced to figures. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import mean, median

# Packets in a window of which a rate is taken.
WINDOW = 500


@dataclass(frozen=True, slots=True)
class Arrivals:
    """`packets` are (number, sent, arrived) in the order of arrival, of `sent` that were sent."""

    packets: Sequence[tuple[int, float, float]]
    sent: int

    def delays(self) -> list[float]:
        """Milliseconds on the way, smallest first."""
        return sorted((arrived - sent) * 1000 for _, sent, arrived in self.packets)

    def median_delay(self) -> float:
        """In milliseconds."""
        return median(self.delays())

    def delay_at(self, share: float) -> float:
        """The delay that this share of the packets is within, in milliseconds."""
        delays = self.delays()
        return delays[int(share * (len(delays) - 1))]

    def lost(self) -> list[int]:
        """The numbers that never came."""
        came = {number for number, _, _ in self.packets}
        return [number for number in range(self.sent) if number not in came]

    def loss_percent(self) -> float:
        """Of all that were sent."""
        return 100 * len(self.lost()) / self.sent

    def burst_length(self) -> float:
        """How many packets in a row are lost, on average."""
        runs = groupby(enumerate(self.lost()), key=lambda pair: pair[1] - pair[0])
        lengths = [len(list(run)) for _, run in runs]
        return mean(lengths) if lengths else 0.0

    def overtaken_percent(self) -> float:
        """The share that came after a packet which was sent later."""
        highest, late = -1, 0
        for number, _, _ in self.packets:
            late += number < highest
            highest = max(highest, number)
        return 100 * late / len(self.packets)

    def mbit(self, size: int) -> float:
        """The rate of arrival of packets of `size` bytes, in Mbit/s: the median of short windows.

        A sender that had to wait for a core leaves gaps that say nothing of the line.
        """
        times = [arrived for _, _, arrived in self.packets][::WINDOW]
        return median(
            WINDOW * size * 8 / 1e6 / (after - before) for before, after in pairwise(times)
        )
