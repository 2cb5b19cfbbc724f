"""Every tunnel that is measured, and in which scenario."""

from __future__ import annotations

from bench.figures import US
from bench.programs.chisel import Chisel
from bench.programs.gnu_httptunnel import GnuHttptunnel
from bench.programs.gost import Gost
from bench.programs.openssh import Openssh
from bench.programs.own import Underpass
from bench.programs.penguin import Penguin
from bench.programs.pypi_http_tunnel import PypiHttpTunnel
from bench.programs.rathole import Rathole
from bench.programs.tunnel_program import TunnelProgram
from bench.programs.wstunnel import Wstunnel
from bench.programs.xray import Xray

US_STREAM, US_POLL, US_GET, US_TLS = (
    "underpass stream",
    "underpass poll",
    "underpass get",
    "underpass TLS",
)

STREAM = Underpass(US_STREAM, "stream")

# Whatever the network lets through.
GOOD_NETWORK: tuple[TunnelProgram, ...] = (
    Underpass(US, "websocket"),
    Underpass(US_TLS, "websocket", tls=True),
    STREAM,
    Chisel(),
    Wstunnel(),
    Gost("gost wss", "Go, one WebSocket for each stream; TLS", "wss"),
    Gost("gost mwss", "Go, many streams in one WebSocket; TLS", "mwss"),
    Xray("Xray", "Go, VLESS, one WebSocket for each stream; TLS", "ws"),
    Xray("Xray mux", "Go, VLESS, eight streams in one WebSocket; TLS", "ws", mux=True),
    Penguin(),
    Rathole(),
    Openssh(),
)

_CHOICE = "carrier stream, through a box the one it chooses"
# Left to itself the client would take a WebSocket where there is no box to keep it out.
US_DIRECT = Underpass(US, "stream", note=_CHOICE)
US_BOXED = Underpass(US, "auto", note=_CHOICE)
# Networks without Upgrade and CONNECT; the first two are one row.
REQUESTS_ONLY: tuple[TunnelProgram, ...] = (
    US_DIRECT,
    US_BOXED,
    Underpass(US_POLL, "poll"),
    Underpass(US_GET, "get"),
    Gost("gost PHT", "Go, POST up and GET down; no encryption", "pht"),
    Xray("Xray XHTTP", "Go, VLESS, POST up and GET down; VLESS's own encryption", "xhttp"),
    GnuHttptunnel(),
    PypiHttpTunnel(),
)

# Of one stream at a time, httptunnel has none to compare.
CARRIERS_CUT: tuple[TunnelProgram, ...] = tuple(
    program
    for program in dict.fromkeys((*GOOD_NETWORK, *REQUESTS_ONLY))
    if program not in (US_DIRECT, US_BOXED) and program.name not in (US_TLS, US_GET, "httptunnel")
)

TUNNELS = tuple(dict.fromkeys((*GOOD_NETWORK, *REQUESTS_ONLY)))
