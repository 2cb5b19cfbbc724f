"""The tunnel through squid, tinyproxy, nginx, haproxy and Apache, as their users set them up."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.matrix.exercise import Exercise
from tests.matrix.modes import KINDS
from tests.matrix.stage import Entrance, client, login_for, stage
from tests.real.processes import free_port, serving
from tests.real.test_parents import CONNECT_TO_443, PASSWORD, USER, squid, tinyproxy

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(120)]

Program = Callable[[str], Path]
SECONDS = 40.0

NGINX = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://127.0.0.1:{server}; }}
    }}
}}
"""

HAPROXY = """\
defaults
    mode http
    timeout connect 5s
    timeout client 50s
    timeout server 50s
frontend f
    bind 127.0.0.1:{port}
    default_backend b
backend b
    server s 127.0.0.1:{server}
"""

APACHE = """\
ServerRoot {folder}
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile {folder}/apache.pid
ErrorLog {folder}/error.log
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
ProxyPass / http://127.0.0.1:{server}/
"""

REVERSE = {
    "nginx": (NGINX, ["-c"], ["-p", "{folder}"]),
    "haproxy": (HAPROXY, ["-db", "-f"], []),
    "apache2": (APACHE, ["-DFOREGROUND", "-f"], []),
}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that another user can reach: tmp_path lies in one of mode 0700."""
    with tempfile.TemporaryDirectory(prefix="underpass-box-") as name:
        Path(name).chmod(0o777)
        yield Path(name)


@contextlib.contextmanager
def reverse(program: Program, name: str, folder: Path, server: int) -> Iterator[int]:
    """Run a reverse proxy in front of the server at port `server`; its port."""
    port = free_port()
    text, flags, more = REVERSE[name]
    config = folder / f"{name}.conf"
    config.write_text(text.format(folder=folder, port=port, server=server))
    rest = [part.format(folder=folder) for part in more]
    command: list[str | Path] = [program(name), *flags, config, *rest]
    with serving(command, folder / f"{name}.out", port):
        yield port


async def check(entrance: Entrance, exercise: Exercise) -> str:
    """Do the exercise; what it went over."""
    async with asyncio.timeout(SECONDS), client(entrance) as one:
        await exercise.run(one.keeper.open)
        return one.ups[-1]


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize("name", REVERSE)
async def test_behind_a_reverse_proxy(
    program: Program, name: str, kind: str, folder: Path, tmp_path: Path
) -> None:
    async with stage(tmp_path) as there:
        server = there.plain.addresses[0].port
        with reverse(program, name, folder, server) as port:
            entrance = Entrance(there.invites[False], carrier=kind, url=f"http://127.0.0.1:{port}")
            await check(entrance, Exercise(there.port, there.refused))


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize("access", ["http_access deny CONNECT\n", CONNECT_TO_443])
async def test_through_squid_that_refuses_connect(
    program: Program, access: str, kind: str, folder: Path, tmp_path: Path
) -> None:
    async with stage(tmp_path) as there:
        with squid(program, folder, access + "http_access allow all") as port:
            entrance = Entrance(there.invites[False], carrier=kind, via=f"http://127.0.0.1:{port}")
            over = await check(entrance, Exercise(there.port, there.refused))
    assert "without CONNECT" in over


async def test_through_squid_with_a_login(program: Program, folder: Path, tmp_path: Path) -> None:
    secrets = folder / "secrets"
    openssl = shutil.which("openssl")
    assert openssl is not None
    made = await asyncio.create_subprocess_exec(
        openssl, "passwd", "-apr1", PASSWORD, stdout=asyncio.subprocess.PIPE
    )
    hashed = (await made.communicate())[0].decode().strip()
    secrets.write_text(f"{USER}:{hashed}\n")
    secrets.chmod(0o644)
    access = "\n".join(
        (
            f"auth_param basic program {program('basic_ncsa_auth')} {secrets}",
            "acl known proxy_auth REQUIRED",
            "http_access deny CONNECT",
            "http_access allow known",
            "http_access deny all",
        )
    )
    async with stage(tmp_path) as there:
        with squid(program, folder, access) as port:
            entrance = Entrance(
                there.invites[False],
                via=f"http://127.0.0.1:{port}",
                login=login_for(USER, PASSWORD),
            )
            await check(entrance, Exercise(there.port, there.refused))


@pytest.mark.parametrize("kind", KINDS)
async def test_through_tinyproxy(program: Program, kind: str, folder: Path, tmp_path: Path) -> None:
    async with stage(tmp_path) as there:
        with tinyproxy(program, folder) as port:
            entrance = Entrance(there.invites[False], carrier=kind, via=f"http://127.0.0.1:{port}")
            await check(entrance, Exercise(there.port, there.refused))
