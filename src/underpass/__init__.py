"""underpass carries any application's traffic over HTTP, through networks that let little out.

As a library::

    from underpass import ListenAddress, Policy, Proxy, ProxyOptions

    async with Proxy(ProxyOptions(listen=(ListenAddress("127.0.0.1", 0),))) as proxy:
        print(proxy.urls)

Each public name is loaded when it is first used, so that a small command starts quickly.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from underpass.access import Effect, Policy, Principal, Rule
    from underpass.address import Address, ListenAddress
    from underpass.client.connected import ConnectedTunnel, connect
    from underpass.client_options import ClientOptions
    from underpass.errors import ConfigurationError, DialError, Failure, UnderpassError
    from underpass.frontends.http import Authenticator, Throttled
    from underpass.observe import AccessRecord, Counter, Counters, Observer
    from underpass.options import Limits, ProxyOptions
    from underpass.outbound.via import Via
    from underpass.protocol.http.credentials import Basic, Bearer
    from underpass.proxy import Parts, Proxy
    from underpass.server_options import ServerLimits, ServerOptions
    from underpass.tunnel.greeting import HandshakeRefused
    from underpass.tunnel_server import ServerParts, TunnelServer

__all__ = [
    "AccessRecord",
    "Address",
    "Authenticator",
    "Basic",
    "Bearer",
    "ClientOptions",
    "ConfigurationError",
    "ConnectedTunnel",
    "Counter",
    "Counters",
    "DialError",
    "Effect",
    "Failure",
    "HandshakeRefused",
    "Limits",
    "ListenAddress",
    "Observer",
    "Parts",
    "Policy",
    "Principal",
    "Proxy",
    "ProxyOptions",
    "Rule",
    "ServerLimits",
    "ServerOptions",
    "ServerParts",
    "Throttled",
    "TunnelServer",
    "UnderpassError",
    "Via",
    "connect",
]

_HOMES = {
    "access": ("Effect", "Policy", "Principal", "Rule"),
    "address": ("Address", "ListenAddress"),
    "client.connected": ("ConnectedTunnel", "connect"),
    "client_options": ("ClientOptions",),
    "tunnel.greeting": ("HandshakeRefused",),
    "errors": ("ConfigurationError", "DialError", "Failure", "UnderpassError"),
    "frontends.http": ("Authenticator", "Throttled"),
    "observe": ("AccessRecord", "Counter", "Counters", "Observer"),
    "options": ("Limits", "ProxyOptions"),
    "outbound.via": ("Via",),
    "protocol.http.credentials": ("Basic", "Bearer"),
    "proxy": ("Parts", "Proxy"),
    "server_options": ("ServerLimits", "ServerOptions"),
    "tunnel_server": ("ServerParts", "TunnelServer"),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"underpass.{home}"), name)
    raise AttributeError(f"module 'underpass' has no attribute {name!r}")
