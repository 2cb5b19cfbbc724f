"""Which addresses are our own listeners: a request that goes there would come back to us."""

from __future__ import annotations

import ipaddress
import socket

from underpass.address import IPAddress

# Any port does: a UDP socket that is connected sends nothing.
_PROBE_PORT = 9


class OwnListeners:
    """The addresses that this process, or its siblings, accept on."""

    def __init__(self) -> None:
        self._exact: set[tuple[IPAddress, int]] = set()
        self._wildcard_ports: set[int] = set()
        self._ports: set[int] = set()

    def add(self, host: str, port: int) -> None:
        """Take note of a listener on a literal address; 0.0.0.0 and :: are every local one."""
        ip = ipaddress.ip_address(host)
        self._ports.add(port)
        if ip.is_unspecified:
            self._wildcard_ports.add(port)
        else:
            self._exact.add((ip, port))

    def owns(self, ip: IPAddress, port: int) -> bool:
        """Whether a stream to `ip` and `port` would be accepted by one of these."""
        if port not in self._ports:
            return False
        if (ip, port) in self._exact:
            return True
        # 0.0.0.0 and :: as destinations lead to this machine, to whichever listener is there.
        return ip.is_unspecified or (port in self._wildcard_ports and is_local(ip))


def is_local(ip: IPAddress) -> bool:
    """Whether `ip` is an address of this machine: a packet to it would come from itself."""
    if ip.is_loopback:
        return True
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(ip), _PROBE_PORT))
        except OSError:
            return False
        return ipaddress.ip_address(probe.getsockname()[0].partition("%")[0]) == ip
