"""Boxes between a tunnel's client and its server, for networks that store and forward."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable
from dataclasses import dataclass

from bench.processes import Running
from bench.programs.launch import Launch, new_address
from bench.programs.tunnel_program import Place
from bench.programs.versions import ROOT, system_program

# What an administrator writes who has no tunnel in mind, with its buffering as it comes; buffers in
# memory alone, or a quick download would measure this machine's disk.
NGINX = """\
daemon off;
user {user};
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 0;
    upstream server {{ server {server}; keepalive 64; }}
    server {{
        listen {address};
        location / {{
            proxy_pass http://server;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_buffering on;
            proxy_request_buffering on;
            proxy_max_temp_file_size 0;
        }}
    }}
}}
"""


def start_nginx(place: Place, server: str) -> Running:
    """nginx as a reverse proxy that buffers requests and responses. Raises `BenchError`."""
    folder, address = place.folder("nginx"), new_address("127.0.0.1")
    file = folder / "nginx.conf"
    file.write_text(
        NGINX.format(folder=folder, user=getpass.getuser(), server=server, address=address)
    )
    command = [system_program("nginx"), "-c", str(file), "-e", str(folder / "error.log")]
    return Launch("nginx", folder, command).start_listening(address)


def start_held(place: Place, server: str) -> Running:
    """A box that holds everything until whole, on a line (`bench.held_box`)."""
    command = [sys.executable, "-m", "bench.held_box", "--inline", server]
    environment = {"PYTHONPATH": str(ROOT)}
    launch = Launch("held", place.folder("held"), command, environment=environment)
    return launch.start_saying(r"listening http://(\S+:\d+)")


@dataclass(frozen=True, slots=True)
class Box:
    """One kind of box; `name` begins the keys of what is measured through it."""

    name: str
    start: Callable[[Place, str], Running]


NGINX_BOX = Box("nginx", start_nginx)
HELD_BOX = Box("held", start_held)
BOXES = (NGINX_BOX, HELD_BOX)
