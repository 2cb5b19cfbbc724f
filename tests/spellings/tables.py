"""Ways to write a destination that nobody may reach by default, each with its answer.

``{p}`` is the port of the listeners that wait on this machine for a stream that must not come.
400: it is no address. 403: it is one, and denied.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping

TARGETS = ("127.0.0.1", "127.0.0.2", "0.0.0.0", "169.254.169.254", "10.0.0.1")

# Hosts as they stand in a target: literals in their right form.
LITERALS = (
    "127.0.0.1",
    "127.0.0.2",
    "127.1.2.3",
    "127.255.255.254",
    "127.255.255.255",
    "0.0.0.0",
    "0.0.0.1",
    "0.255.255.255",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.255.255",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "[::]",
    "[0::0]",
    "[0:0:0:0:0:0:0:0]",
    "[::1]",
    "[0::1]",
    "[::0001]",
    "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::0.0.0.1]",
    "[0:0:0:0:0:0:0.0.0.1]",
    # Mapped (RFC 4291 2.5.5.2).
    "[::ffff:127.0.0.1]",
    "[::FFFF:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:7F00:0001]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[0000:0000:0000:0000:0000:ffff:7f00:0001]",
    "[::ffff:127.0.0.2]",
    "[::ffff:0.0.0.0]",
    "[::ffff:10.0.0.1]",
    "[::ffff:a9fe:a9fe]",
    "[::ffff:192.168.0.1]",
    "[::ffff:100.64.0.1]",
    "[::ffff:224.0.0.1]",
    # Compatible (RFC 4291 2.5.5.1).
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[::10.0.0.1]",
    "[::a9fe:a9fe]",
    "[0:0:0:0:0:0:192.168.0.1]",
    # Translated (RFC 2765 2.1).
    "[::ffff:0:127.0.0.1]",
    "[::ffff:0:7f00:1]",
    "[::ffff:0:10.0.0.1]",
    "[::ffff:0:a9fe:a9fe]",
    # NAT64 (RFC 6052, RFC 8215).
    "[64:ff9b::127.0.0.1]",
    "[64:FF9B::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[0064:ff9b:0:0:0:0:7f00:0001]",
    "[64:ff9b::0.0.0.0]",
    "[64:ff9b::10.0.0.1]",
    "[64:ff9b::169.254.169.254]",
    "[64:ff9b::192.168.0.1]",
    "[64:ff9b:1::127.0.0.1]",
    "[64:ff9b:1::a9fe:a9fe]",
    "[64:ff9b:1:7f00:0:100::]",
    "[64:ff9b:1:7f00:0:100:808:808]",
    "[64:ff9b:1::8.8.8.8]",
    # 6to4 (RFC 3056).
    "[2002:7f00:1::]",
    "[2002:7f00:0001::1]",
    "[2002:7F00:1:2:3:4:5:6]",
    "[2002:0:0::1]",
    "[2002:a00:1::1]",
    "[2002:a9fe:a9fe::1]",
    "[2002:c0a8:1::1]",
    "[2002:6440:1::1]",
    "[2002:e000:1::1]",
    # Teredo (RFC 4380): the server, then the client with its bits turned over.
    "[2001:0:7f00:1::1]",
    "[2001::7f00:1:0:0:f5ff:fffe]",
    "[2001:0:808:808:8000:63bf:80ff:fffe]",
    "[2001:0:4136:e378:8000:63bf:f5ff:fffe]",
    "[2001:0:4136:e378:8000:63bf:3f57:fffe]",
    "[2001:0:4136:e378:8000:63bf:5601:5601]",
    # ISATAP (RFC 5214).
    "[2001:4860::5efe:127.0.0.1]",
    "[2001:4860::5efe:7f00:1]",
    "[2001:4860::200:5efe:10.0.0.1]",
    "[2001:4860:1:2:0:5efe:a9fe:a9fe]",
    "[fe80::5efe:127.0.0.1]",
    "[fe80::200:5efe:192.168.0.1]",
    # Addresses of nobody's public server.
    "[fe80::1]",
    "[fe80::]",
    "[febf::1]",
    "[fec0::1]",
    "[feff::1]",
    "[fc00::1]",
    "[fd00::1]",
    "[fd00:ec2::254]",
    "[fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]",
    "[ff01::1]",
    "[ff02::1]",
    "[ff02::fb]",
    "[ff05::2]",
    "[ff0e::1]",
    "[ff3e::8000:1]",
    "[100::1]",
    "[2001:2::1]",
    "[2001:10::1]",
    "[2001:1f:ffff::1]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[5f00::1]",
)

# What looks like one of them to something, and is no address to us.
NO_ADDRESSES = (
    "[::1%25lo]",
    "[::1%lo]",
    "[::1%]",
    "[::1%250]",
    "[fe80::1%25eth0]",
    "[fe80::1%eth0]",
    "[fe80::1%1]",
    "[::ffff:127.0.0.1%25lo]",
    "::1",
    "::ffff:127.0.0.1",
    "[127.0.0.1]",
    "[2130706433]",
    "[localhost]",
    "[::ffff:127.1]",
    "[::ffff:0x7f.0.0.1]",
    "[::ffff:0177.0.0.1]",
    "[::ffff:127.0.0.01]",
    "[::127.0.0.1.]",
    "[::1.]",
    "[0:0:0:0:0:0:0:0:1]",
    "[v1.127.0.0.1]",
    "127.0.0.1%00",
    "127.0.0.1%2e",
    "127%2e0%2e0%2e1",
    "%31%32%37.0.0.1",
    "127.0.0.1@example.com",
    "example.com@127.0.0.1",
    "127.0.0.1#example.com",
    "127.0.0.1\\example.com",
    "example.com\\@127.0.0.1",
    "127.0.0.1 ",
    " 127.0.0.1",
    "127.0.0.1\t",
    "127.0.0.1\x00",
    "127.0.0.1\x00.example.com",
    "example.com\r\nX: 127.0.0.1",
    "127.0.0.1,example.com",
    "127.0.0.1;example.com",
    ".127.0.0.1",
    "127..0.0.1",
    "127.0.0.1..",
    "-127.0.0.1",
    "+127.0.0.1",
    "1e2.0.0.1",
    "0",
    "0.",
    "00",
    "0x",
    "0x0",
    "127.0.0.1.0",
    "127.0.0.1.0x1",
    "example.0x7f000001",
    "example.2130706433",
    "..",
    "localhost..",
    ".localhost",
    "loc alhost",
    "lo%63alhost",
    "local\u200bhost",
    "localh\u00f6st",
    "\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3",
    "\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54",
    "127\u30020\u30020\u30021",
    "127\uff0e0\uff0e0\uff0e1",
    "\u2460\u2461\u2466.0.0.1",
    "\u0661\u0662\u0667.0.0.1",
    "\u06f1\u06f2\u06f7.0.0.1",
    "127.0.0.\u00b9",
)

# Names, and what an attacker's name server says they are.
NAMES: Mapping[str, tuple[str, ...]] = {
    "localhost": ("127.0.0.1", "::1"),
    "localhost.localdomain": ("127.0.0.1",),
    "ip6-localhost": ("::1",),
    "foo.localhost": ("127.0.0.1",),
    "metadata.google.internal": ("169.254.169.254",),
    "instance-data": ("169.254.169.254",),
    "kubernetes.default.svc": ("10.96.0.1",),
    "127.0.0.1.nip.io": ("127.0.0.1",),
    "127-0-0-1.example": ("127.0.0.1",),
    "7f000001.example": ("127.0.0.1",),
    "0x7f000001.example": ("127.0.0.1",),
    "xn--l-0ga.example": ("127.0.0.2",),
    "loop6.example": ("::1",),
    "both.example": ("::1", "127.0.0.1"),
    "second.example": ("127.0.0.2",),
    "zero.example": ("0.0.0.0",),
    "zero6.example": ("::",),
    "private.example": ("10.0.0.1", "172.16.0.1", "192.168.0.1"),
    "nat.example": ("100.64.0.1",),
    "local.example": ("169.254.1.1", "fe80::1"),
    "multicast.example": ("224.0.0.1", "ff02::1"),
    "broadcast.example": ("255.255.255.255",),
    "unique.example": ("fd00::1",),
    "site.example": ("fec0::1",),
    "mapped.example": ("::ffff:127.0.0.1",),
    "compatible.example": ("::127.0.0.1",),
    "translated.example": ("::ffff:0:127.0.0.1",),
    "nat64.example": ("64:ff9b::7f00:1",),
    "sixtofour.example": ("2002:7f00:1::",),
    "teredo.example": ("2001:0:4136:e378:8000:63bf:80ff:fffe",),
    "isatap.example": ("2001:4860::5efe:7f00:1",),
    "many.example": ("127.0.0.1", "127.0.0.2", "::1", "10.0.0.1", "0.0.0.0", "fe80::1"),
}

# Other ways to write a name: the same to a name server, and the same to us.
NAME_FORMS = ("{}", "{}.", "{upper}", "{upper}.", "{mixed}")


def odd_ipv4(address: str) -> Iterator[str]:
    """The ways in which some library or other reads `address`, but for the right one."""
    octets = [int(part) for part in address.split(".")]
    number = int(ipaddress.IPv4Address(address))
    low24, low16 = number & 0xFFFFFF, number & 0xFFFF
    yield f"{number}"
    yield f"{number}."
    yield f"0{number}"
    yield f"{number + (1 << 32)}"
    yield f"0x{number:08x}"
    yield f"0X{number:08X}"
    yield f"0x00000000{number:08x}"
    yield f"0{number:o}"
    yield ".".join(f"0x{octet:x}" for octet in octets)
    yield ".".join(f"0x{octet:02X}" for octet in octets)
    yield ".".join(f"0{octet:o}" for octet in octets)
    yield ".".join(f"{octet:03o}" for octet in octets) + ".0"
    yield ".".join(f"{octet:04}" for octet in octets)
    yield ".".join(f"{octet + 256}" for octet in octets)
    yield f"0x{octets[0]:x}.{octets[1]}.0{octets[2]:o}.{octets[3]}"
    yield f"{octets[0]}.{low24}"
    yield f"{octets[0]}.{octets[1]}.{low16}"
    yield f"{octets[0]}.0x{low24:x}"
    yield f"0x{octets[0]:x}.{low24}"
    yield f"{address}."
    yield f"{address}.."
    yield "".join(chr(0xFF10 + int(c)) if c.isdigit() else c for c in address)
    yield "".join(chr(0xFF10 + int(c)) if c.isdigit() else "\u3002" for c in address)
    yield address.replace(".", "\uff0e")
    yield f"[{address}]"
    yield f"[::ffff:{address}."
