"""Who may open what. Pure: no sockets, no names resolved here."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from underpass.address import Address, IPAddress


class Effect(enum.Enum):
    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: an effect, a host pattern and ports. Made by `Rule.parse`."""

    effect: Effect
    pattern: str
    first_port: int = 1
    last_port: int = 65535

    @classmethod
    def parse(cls, effect: Effect, text: str) -> Rule:
        """Parse ``*.example.com:443``, ``10.0.0.0/8``, ``[::1]:8000-8100``, ``*``; ValueError."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. Frozen and hashable: a change of rules makes another principal."""

    name: str
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it is allowed and a reason a person understands (with the rule that decided)."""

    allowed: bool
    reason: str

    def __bool__(self) -> bool:
        return self.allowed


@dataclass(frozen=True)
class Policy:
    """What may be opened: explicit rules over the default deny list."""

    rules: tuple[Rule, ...] = field(default=())

    def allows_name(self, principal: Principal, address: Address) -> Decision:
        """Decide before a name is resolved: a deny of the name or port ends it here."""
        raise NotImplementedError

    def allows(self, principal: Principal, address: Address, ip: IPAddress) -> Decision:
        """Decide on the literal `ip` to be dialled for `address` (what was asked for)."""
        raise NotImplementedError
