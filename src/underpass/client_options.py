"""The options of the client: what it listens on, and how it goes out. See `underpass.options`."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from underpass.address import Address, ListenAddress
from underpass.carriers.methods import Methods
from underpass.errors import ConfigurationError
from underpass.option_kinds import (
    LISTEN,
    LOG,
    PATH,
    Kind,
    check_no_listener_twice,
    default_state,
)
from underpass.outbound.pac_location import PREFIX, PacLocation
from underpass.outbound.via import Chain, parse_chain

CARRIERS = ("websocket", "stream", "poll", "get")
"""The kinds of carriers by name, best first."""

DEFAULT_SOCKS = (ListenAddress("127.0.0.1", 1080),)
DEFAULT_HTTP = (ListenAddress("127.0.0.1", 8080),)

_HOST = r"\[[^\]]+\]|[^:\[\]]+"
_FORWARD = re.compile(
    rf"(?:(?:unix:)?(?P<path>[^:]*/[^:]*)|(?:(?P<bind>{_HOST}):)?(?P<port>[0-9]+))"
    rf":(?P<target>(?:{_HOST}):[0-9]+)"
)


@dataclass(frozen=True, slots=True)
class Forward:
    """Everything that comes to `listen` goes to `target`, as seen from the server."""

    listen: ListenAddress
    target: Address

    @classmethod
    def parse(cls, text: str) -> Forward:
        """Parse ``[BIND:]PORT:HOST:PORT`` or ``PATH:HOST:PORT`` (a path has a slash); ValueError.

        Without BIND it listens on 127.0.0.1.
        """
        match = _FORWARD.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!a}: expected [BIND:]PORT:HOST:PORT or PATH:HOST:PORT")
        target = Address.parse(match["target"])
        if match["path"] is not None:
            return cls(ListenAddress(None, 0, match["path"]), target)
        bind = match["bind"] or "127.0.0.1"
        return cls(ListenAddress.parse(f"{bind}:{match['port']}"), target)

    def __str__(self) -> str:
        where = self.listen.path if self.listen.path is not None else str(self.listen)
        return f"{where}:{self.target}"


@dataclass(frozen=True, slots=True)
class Through:
    """How the client goes out: through `chain`, the nearest proxy first; none: directly.

    `is_auto`: through what the environment and the system say; `pac`: what that PAC file says.
    """

    chain: Chain = ()
    is_auto: bool = False
    pac: PacLocation | None = None

    @classmethod
    def parse(cls, text: str) -> Through:
        """Parse ``auto``, ``none``, ``pac+URL``, or URLs of proxies with commas between.

        Raises `ValueError`.
        """
        if text == "auto":
            return cls(is_auto=True)
        if text == "none":
            return cls()
        if text.startswith(PREFIX):
            return cls(pac=PacLocation.parse(text))
        return cls(parse_chain(text))

    @property
    def scheme(self) -> str:
        """That of the last proxy, or empty."""
        return self.chain[-1].scheme if self.chain else ""

    @property
    def user(self) -> str:
        """The user of the last proxy, or empty."""
        return self.chain[-1].user if self.chain else ""

    @property
    def password(self) -> str:
        """The password of the last proxy that has one, or empty."""
        return next((via.password for via in reversed(self.chain) if via.password), "")

    def with_password(self, password: str) -> Through:
        """The same with a password for the last proxy."""
        last = self.chain[-1].with_password(password)
        return dataclasses.replace(self, chain=(*self.chain[:-1], last))

    def __str__(self) -> str:
        if not self.chain:
            return str(self.pac or ("auto" if self.is_auto else "none"))
        return ",".join(map(str, self.chain))


_SOCKS = Kind(str, "a list of addresses such as 127.0.0.1:1080", ListenAddress.parse, many=True)
_FORWARDS = Kind(str, "a list such as 5432:db.internal:5432", Forward.parse, many=True)
_THROUGH = Kind(str, "auto, none or a URL such as http://proxy.example:3128", Through.parse)
_CARRIER = Kind(
    Literal["auto", "websocket", "stream", "poll", "get"], f"auto, {', '.join(CARRIERS)}"
)
_OPENED_TLS = Kind(Literal["tell", "refuse"], "tell or refuse")
_METHODS = Kind(str, "methods such as GET,POST", Methods.parse)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """All that `underpass client` can be told. Raises `ConfigurationError` where options clash.

    socks, http: where to accept clients of each kind; port 0 is any free one. With no socks, http
        and forward: SOCKS on 127.0.0.1:1080 and HTTP on 127.0.0.1:8080.
    forward: listeners of which each leads to one address.
    login_file: a file with USER:PASSWORD, which SOCKS and HTTP clients must give.
    via: how to go out: what the system says, directly, or through these proxies.
    via_password_file: where the password of the last of those came from, if from a file.
    authorities: a PEM file of authorities to trust beside the system's, for networks that open TLS.
    opened_tls: where a box on the way opens TLS: ``tell`` it and go on, or ``refuse`` to. What is
        refused shows by the invite's pin.
    carrier: the one kind of carrier to use, or auto.
    methods: what HTTP methods the network lets through.
    state: the directory for keys of invites without a profile, and for the control socket.
    log: ``text`` for people, ``json`` for machines.
    log_file: append the log here; None: standard error.
    """

    socks: Annotated[tuple[ListenAddress, ...], _SOCKS] = ()
    http: Annotated[tuple[ListenAddress, ...], LISTEN] = ()
    forward: Annotated[tuple[Forward, ...], _FORWARDS] = ()
    login_file: Annotated[Path | None, PATH] = None
    via: Annotated[Through, _THROUGH] = field(default_factory=lambda: Through(is_auto=True))
    via_password_file: Annotated[Path | None, PATH] = None
    authorities: Annotated[Path | None, PATH] = None
    opened_tls: Annotated[Literal["tell", "refuse"], _OPENED_TLS] = "tell"
    carrier: Annotated[Literal["auto", "websocket", "stream", "poll", "get"], _CARRIER] = "auto"
    methods: Annotated[Methods, _METHODS] = field(default_factory=Methods)
    state: Annotated[Path, PATH] = field(default_factory=default_state)
    log: Annotated[Literal["text", "json"], LOG] = "text"
    log_file: Annotated[Path | None, PATH] = None

    def __post_init__(self) -> None:
        listeners = [*self.socks, *self.http, *(forward.listen for forward in self.forward)]
        check_no_listener_twice("socks, http, forward", listeners)
        for forward in self.forward:
            if not forward.listen.is_loopback:
                raise ConfigurationError(
                    f"forward: {forward.listen} can be reached by other machines, and a forward "
                    "asks nobody who they are; listen on 127.0.0.1"
                )
        exposed = [address for address in (*self.socks, *self.http) if not address.is_loopback]
        if exposed and self.login_file is None:
            raise ConfigurationError(
                f"{exposed[0]} can be reached by other machines: everybody there could use the "
                "tunnel; set login_file to a file with USER:PASSWORD, or listen on 127.0.0.1"
            )

    @property
    def with_listeners(self) -> ClientOptions:
        """These options, with the default listeners where there are none."""
        if self.socks or self.http or self.forward:
            return self
        return dataclasses.replace(self, socks=DEFAULT_SOCKS, http=DEFAULT_HTTP)
