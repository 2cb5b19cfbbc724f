"""Bounds how often one address may say hello. Pure: time is an argument.

To tell a hello from noise takes a key agreement, which whoever sends it needs not make. Beyond its
rate an address is a stranger for a while, and not told that it is.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

# So many seconds' worth may come at once: an office behind one address whose clients all come back
# when its line does.
BURST_SECONDS = 10.0

# Addresses remembered; the one that said hello longest ago makes room, and its bucket has filled up
# since, or soon would have.
MAX_ADDRESSES = 10_000

# What one subscriber has of IPv6 (RFC 6177): any address in it is theirs to choose.
_IPV6_BITS = 64


def source_of(client: str) -> str | None:
    """Whose hello it is: an IPv4 address or an IPv6 network; None for who is not to be bounded.

    Those are on this machine: a web server in front of us, by which everybody comes.
    """
    try:
        ip = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        # A unix socket has no address.
        return None
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is None:
            network = ipaddress.ip_network((ip, _IPV6_BITS), strict=False)
            return None if ip.is_loopback else str(network)
        ip = ip.ipv4_mapped
    return None if ip.is_loopback else str(ip)


@dataclass(slots=True)
class _Bucket:
    level: float
    filled: float
    is_told: bool = False


class HelloLimit:
    """A token bucket for each address: `rate` hellos a second; 0: no bound.

    `tell` hears of an address when it is first refused, and again once it has kept still.
    """

    def __init__(self, rate: float, tell: Callable[[str], None] = lambda source: None) -> None:
        self.rate = rate
        self._tell = tell
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, client: str, now: float) -> bool:
        """Whether `client` may say hello at `now`, in seconds."""
        source = source_of(client) if self.rate else None
        if source is None:
            return True
        burst = self.rate * BURST_SECONDS
        bucket = self._buckets.pop(source, None) or _Bucket(burst, now)
        self._buckets[source] = bucket
        if len(self._buckets) > MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        bucket.level = min(burst, bucket.level + self.rate * max(0.0, now - bucket.filled))
        bucket.filled = now
        if bucket.level >= burst:
            bucket.is_told = False
        if bucket.level < 1:
            if not bucket.is_told:
                bucket.is_told = True
                self._tell(source)
            return False
        bucket.level -= 1
        return True
