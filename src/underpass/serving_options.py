"""`ServingOptions`: what the proxy and the tunnel's server can both be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from underpass.access import Effect, Rule
from underpass.address import ListenAddress
from underpass.errors import ConfigurationError
from underpass.option_kinds import (
    LISTEN,
    LOG,
    PATH,
    Kind,
    check_no_listener_twice,
    default_state,
)


def _allow(text: str) -> Rule:
    return Rule.parse(Effect.ALLOW, text)


def _deny(text: str) -> Rule:
    return Rule.parse(Effect.DENY, text)


_METRICS = Kind(str, "an address such as 127.0.0.1:9090", ListenAddress.parse)
_ALLOW = Kind(str, "a list of rules such as *.example.com:443", _allow, many=True)
_DENY = Kind(str, "a list of rules such as *.example.com:443", _deny, many=True)

_WEEK = 7 * 24 * 3600

# Nothing waits longer than a week: what looks like more is a mistake in the unit.
SECONDS = Kind(Annotated[float, Meta(gt=0, le=_WEEK)], "a number of seconds, up to 604800")
SECONDS_OR_NONE = Kind(
    Annotated[float, Meta(ge=0, le=_WEEK)], "a number of seconds, 0 (no limit) to 604800"
)
SECONDS_OR_AT_ONCE = Kind(
    Annotated[float, Meta(ge=0, le=_WEEK)], "a number of seconds, 0 (at once) to 604800"
)
COUNT = Kind(Annotated[int, Meta(ge=1, le=1_000_000)], "a whole number from 1 to 1000000")
COUNT_OR_NONE = Kind(Annotated[int, Meta(ge=0, le=1_000_000)], "a whole number from 0 to 1000000")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingOptions:
    """What both can be told; each says what it means to it. `ConfigurationError` for a clash."""

    listen: Annotated[tuple[ListenAddress, ...], LISTEN] = ()
    allow: Annotated[tuple[Rule, ...], _ALLOW] = ()
    deny: Annotated[tuple[Rule, ...], _DENY] = ()
    state: Annotated[Path, PATH] = field(default_factory=default_state)
    tls_cert: Annotated[Path | None, PATH] = None
    tls_key: Annotated[Path | None, PATH] = None
    metrics: Annotated[ListenAddress | None, _METRICS] = None
    log: Annotated[Literal["text", "json"], LOG] = "text"
    log_file: Annotated[Path | None, PATH] = None

    def __post_init__(self) -> None:
        if not self.listen:
            raise ConfigurationError("listen: expected at least one address")
        check_no_listener_twice("listen", self.listen)
        if (self.tls_cert is None) != (self.tls_key is None):
            present, absent = ("tls_cert", "tls_key") if self.tls_cert else ("tls_key", "tls_cert")
            raise ConfigurationError(f"{present}: needs {absent} beside it")

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All rules, as a `Policy` takes them."""
        return self.allow + self.deny

    @property
    def is_tls(self) -> bool:
        """Whether the listeners speak TLS."""
        return self.tls_cert is not None
