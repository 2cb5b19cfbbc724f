"""Who may open what. Pure: no sockets, and no names resolved here.

A rule allows or denies a host pattern and ports:

=========================  ===============================================================
``*``                      everything
``*.example.com``          every name below example.com, not example.com itself
``example.com``            that name
``10.0.0.0/8``             the addresses of a network, ``fc00::/7`` too
``127.0.0.1``, ``[::1]``   one address
``…:443``, ``…:8000-8100``  with a port or ports; without, every port
=========================  ===============================================================

How a decision is made:

- **The most specific rule wins**: one address or name, before a longer prefix or suffix, before
  ``*``; then fewer ports. Of equals, and of a suffix and a network, which can't be compared, deny
  wins.
- **Some addresses are denied by default**: those that are nobody's public server (loopback,
  private, link-local, multicast …), also where an IPv6 address hides such an IPv4, and port 25.
  A rule of the same or greater weight opens them. A pattern of names never does: whoever runs the
  names below it chooses their addresses. Port 25 is opened only by a rule that names ports.
- **Two layers are asked**, the principal's own rules and the policy's. A deny that wins in either
  holds; an allow that wins in either opens what is only denied by default. So a user whose rules
  are ``deny *`` and ``allow git.example.com`` reaches that one name.
"""

from __future__ import annotations

import enum
import functools
import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from underpass.address import Address, IPAddress

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

ALL_PORTS = (1, 65535)
MAIL_PORT = 25

# Decisions remembered for one policy; each costs well below a KiB.
_REMEMBERED = 4096

_PORTS = re.compile(r"([1-9][0-9]{0,4})(?:-([1-9][0-9]{0,4}))?", re.ASCII)


class Effect(enum.Enum):
    """What a rule does."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: an effect, a host pattern in canonical form, and ports. Made by `Rule.parse`."""

    effect: Effect
    pattern: str
    first_port: int = ALL_PORTS[0]
    last_port: int = ALL_PORTS[1]

    @classmethod
    def parse(cls, effect: Effect, text: str) -> Rule:
        """Parse a rule's text, as in the table above. Raises `ValueError`."""
        pattern, ports = _split_ports(text.strip())
        first, last = _parse_ports(ports) if ports else ALL_PORTS
        return cls(effect, _canonical_pattern(pattern), first, last)

    def __str__(self) -> str:
        host = f"[{self.pattern}]" if ":" in self.pattern else self.pattern
        if (self.first_port, self.last_port) == ALL_PORTS:
            return host if "/" not in self.pattern else self.pattern
        ports = f"{self.first_port}"
        if self.last_port != self.first_port:
            ports += f"-{self.last_port}"
        return f"{host}:{ports}"

    @property
    def names_ports(self) -> bool:
        """Whether the rule is for certain ports only."""
        return (self.first_port, self.last_port) != ALL_PORTS

    def covers_port(self, port: int) -> bool:
        """Whether the rule is for this port."""
        return self.first_port <= port <= self.last_port

    def covers_name(self, host: str) -> bool:
        """Whether the pattern is one of names, and `host` fits it."""
        if self.pattern == "*":
            return True
        if self.pattern.startswith("*."):
            return host.endswith(self.pattern[1:])
        return host == self.pattern

    def covers_ip(self, ip: IPAddress) -> bool:
        """Whether the pattern is an address or network, and holds `ip`."""
        network = _network(self.pattern)
        return network is not None and ip.version == network.version and ip in network

    @property
    def weight(self) -> tuple[int, int, int]:
        """How specific the rule is; the greatest decides."""
        ports = ALL_PORTS[1] - (self.last_port - self.first_port)
        network = _network(self.pattern)
        if network is not None:
            single = network.prefixlen == network.max_prefixlen
            # A prefix of an IPv4 weighs as that of the IPv6 it is mapped to.
            prefix = network.prefixlen + 128 - network.max_prefixlen
            return (2 if single else 1, prefix, ports)
        if self.pattern == "*":
            return (0, 0, ports)
        if self.pattern.startswith("*."):
            return (1, len(self.pattern), ports)
        return (2, 128, ports)

    @property
    def names_hosts(self) -> bool:
        """Whether the pattern is one of names, not of addresses."""
        return _network(self.pattern) is None

    @property
    def is_open_pattern(self) -> bool:
        """Whether others choose the addresses that the pattern leads to."""
        return self.pattern.startswith("*")


def _split_ports(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")) or rest == ":":
            raise ValueError(f"{text!r}: expected [address] or [address]:ports")
        return host, rest[1:]
    if text.count(":") > 1:
        # An IPv6 address or network without brackets has no ports.
        return text, ""
    host, colon, ports = text.partition(":")
    if colon and not ports:
        raise ValueError(f"{text!r}: no port after the colon")
    return host, ports


def _parse_ports(text: str) -> tuple[int, int]:
    match = _PORTS.fullmatch(text)
    first = int(match[1]) if match else 0
    last = int(match[2] or match[1]) if match else 0
    if not 1 <= first <= last <= ALL_PORTS[1]:
        raise ValueError(f"{text!r}: expected a port or a range such as 8000-8100")
    return first, last


def _without_host_bits(pattern: str) -> str:
    """The network that `pattern` is probably meant to be, as the end of a sentence."""
    try:
        return f"; did you mean {ipaddress.ip_network(pattern, strict=False)}?"
    except ValueError:
        return ""


def _canonical_pattern(pattern: str) -> str:
    if pattern == "*":
        return pattern
    if "/" in pattern:
        try:
            return str(ipaddress.ip_network(pattern))
        except ValueError as error:
            # Its text begins with the pattern.
            raise ValueError(f"{error}{_without_host_bits(pattern)}") from None
    prefix = "*." if pattern.startswith("*.") else ""
    try:
        host = Address.of(pattern.removeprefix(prefix), 1).host
    except ValueError as error:
        raise ValueError(f"{pattern!r}: {error}") from None
    if prefix and _network(host) is not None:
        raise ValueError(
            f"{pattern!r}: a pattern of addresses is written as a network (10.0.0.0/8)"
        )
    return prefix + host


@functools.lru_cache(_REMEMBERED)
def _network(pattern: str) -> Network | None:
    """The network that a pattern of addresses stands for; None for one of names."""
    try:
        return ipaddress.ip_network(pattern)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. Frozen and hashable: a change of rules makes another principal."""

    name: str
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it is allowed, and a reason a person understands, with the rule that decided.

    `by_default` tells a denial by the built-in list, which a rule could open.
    """

    allowed: bool
    reason: str
    by_default: bool = False

    def __bool__(self) -> bool:
        return self.allowed


ALLOWED = Decision(True, "no rule against it")

# IANA's special-purpose registries (RFC 6890 and later), and what is not in them but is as little
# a public server.
_DEFAULT = (
    ("0.0.0.0/8", "this host or network"),
    ("10.0.0.0/8", "private network"),
    ("100.64.0.0/10", "carrier-grade NAT"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link-local"),
    ("172.16.0.0/12", "private network"),
    ("192.0.0.0/24", "protocol assignments"),
    ("192.0.2.0/24", "documentation"),
    ("192.88.99.0/24", "6to4 relays"),
    ("192.168.0.0/16", "private network"),
    ("198.18.0.0/15", "benchmarks"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    # Where an IPv4 stands in these is up to each network (RFC 8215, RFC 6052 2.2).
    ("64:ff9b:1::/48", "local translation"),
    ("100::/64", "discard-only"),
    # Teredo, benchmarks, ORCHID and other protocols' own: nothing in it is a server.
    ("2001::/23", "protocol assignments"),
    ("2001:db8::/32", "documentation"),
    ("3fff::/20", "documentation"),
    ("5f00::/16", "segment routing"),
    ("fc00::/7", "unique local"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "site-local"),
    ("ff00::/8", "multicast"),
)
DEFAULT_DENIALS: tuple[tuple[Rule, str], ...] = tuple(
    (Rule(Effect.DENY, text), what) for text, what in _DEFAULT
)

_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_TRANSLATED = ipaddress.IPv6Network("::ffff:0:0:0/96")
# RFC 5214 6.1: the interface identifier of ISATAP, with the universal bit set or not.
_ISATAP = (0x00005EFE, 0x02005EFE)


def hidden_ipv4(ip: IPAddress) -> tuple[ipaddress.IPv4Address, ...]:
    """The IPv4 addresses that packets to this IPv6 may end up at."""
    if isinstance(ip, ipaddress.IPv4Address) or ip.is_loopback or ip.is_unspecified:
        return ()
    found = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
    last = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    if any(ip in network for network in (*_NAT64, _COMPATIBLE, _TRANSLATED)):
        found.append(last)
    if (int(ip) >> 32) & 0xFFFFFFFF in _ISATAP:
        found.append(last)
    return tuple(address for address in found if address is not None)


def denied_by_default(ip: IPAddress) -> tuple[Rule, str] | None:
    """The rule of the built-in list that holds `ip`, with what it is; None for a public address."""
    return next((entry for entry in DEFAULT_DENIALS if entry[0].covers_ip(ip)), None)


def _winner(rules: Iterable[Rule]) -> Rule | None:
    """The most specific rule; of equals, and of those that can't be compared, a deny."""
    matching = sorted(rules, key=lambda rule: rule.weight, reverse=True)
    allows = [rule for rule in matching if rule.effect is Effect.ALLOW]
    for rule in matching:
        if rule.effect is Effect.DENY and not any(_beats(allow, rule) for allow in allows):
            return rule
    return allows[0] if allows else None


def _beats(rule: Rule, other: Rule) -> bool:
    """Whether `rule` is more specific: a suffix and a network can't be compared, so neither is."""
    return rule.weight > other.weight and (
        rule.weight[0] != other.weight[0] or rule.names_hosts == other.names_hosts
    )


@dataclass(frozen=True)
class Policy:
    """What may be opened: explicit rules over the default deny list."""

    rules: tuple[Rule, ...] = field(default=())

    def allows_name(self, principal: Principal, address: Address) -> Decision:
        """Decide before a name is resolved: what no address could open ends here.

        An allowed decision means no more than that resolving may go on to `allows`.
        """
        for layer in (principal.rules, self.rules):
            rules = [rule for rule in layer if rule.covers_port(address.port)]
            winner = _winner(rule for rule in rules if rule.covers_name(address.host))
            if winner is None or winner.effect is Effect.ALLOW:
                continue
            could_open = (
                rule.effect is Effect.ALLOW and not rule.names_hosts and _beats(rule, winner)
                for rule in rules
            )
            if not any(could_open):
                return Decision(False, f"denied by rule {winner}")
        return ALLOWED

    def allows(self, principal: Principal, address: Address, ip: IPAddress) -> Decision:
        """Decide on the literal `ip` to be dialled for `address`, which is what was asked for."""
        return self._decided(principal.rules, address, ip)

    @functools.cached_property
    def _decided(self) -> Callable[[tuple[Rule, ...], Address, IPAddress], Decision]:
        """`_decide`, remembered; without our rules in its key, as hashing thousands is dear."""
        return functools.lru_cache(_REMEMBERED)(functools.partial(_decide, self.rules))


def _decide(
    policy: tuple[Rule, ...], own: tuple[Rule, ...], address: Address, ip: IPAddress
) -> Decision:
    winners = [_explicit(layer, address, ip) for layer in (own, policy)]
    for winner in winners:
        if winner is not None and winner.effect is Effect.DENY:
            return Decision(False, f"denied by rule {winner}")
    allows = [winner for winner in winners if winner is not None]
    for one in (ip, *hidden_ipv4(ip)):
        denial = denied_by_default(one)
        if denial is not None and not any(_opens(rule, denial[0], one, address) for rule in allows):
            rule, what = denial
            hidden = f" hidden in {ip}" if one is not ip else ""
            reason = f"{one}{hidden} is denied by default ({what}, {rule})"
            return Decision(False, reason, by_default=True)
    if address.port == MAIL_PORT and not any(rule.names_ports for rule in allows):
        return Decision(False, "port 25 (mail) is denied by default", by_default=True)
    return Decision(True, f"allowed by rule {allows[0]}") if allows else ALLOWED


def _explicit(layer: tuple[Rule, ...], address: Address, ip: IPAddress) -> Rule | None:
    """The rule of one layer that decides. What an IPv6 hides can be denied, not allowed, by it."""
    hidden = hidden_ipv4(ip)
    return _winner(
        rule
        for rule in layer
        if rule.covers_port(address.port)
        and (
            rule.covers_name(address.host)
            or rule.covers_ip(ip)
            or (rule.effect is Effect.DENY and any(rule.covers_ip(one) for one in hidden))
        )
    )


def _opens(rule: Rule, denial: Rule, ip: IPAddress, address: Address) -> bool:
    """Whether the explicit allow `rule` outweighs the built-in `denial` of `ip`."""
    if rule.is_open_pattern:
        return False
    if rule.covers_name(address.host) and rule.names_hosts:
        # A single name: whoever wrote the rule meant the host behind it, wherever it is.
        return True
    return rule.covers_ip(ip) and rule.weight[:2] >= denial.weight[:2]
