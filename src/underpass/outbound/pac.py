"""PAC files: fetched or read, run in a process of their own, and what they say (docs/routes.md)."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import sys
import urllib.parse
from pathlib import Path

from underpass.carriers.base import CarrierError
from underpass.carriers.http_client import Answer, HttpClient, Request
from underpass.carriers.server_url import ServerUrl
from underpass.errors import ConfigurationError, DialError, Failure
from underpass.net.route import StreamRoute
from underpass.net.stream import Dial
from underpass.outbound.pac_location import PacLocation, split_url
from underpass.outbound.server_tls import ServerTls, Trust
from underpass.outbound.via import Chain, Via

# To start a process, run a script and look a few names up. One that loops is ended then.
RUN_SECONDS = 1.9

FETCH_SECONDS = 5.0
MAX_BYTES = 1024 * 1024
MAX_REDIRECTS = 3

# Of a list, as many as could be tried in the time that anybody waits.
MAX_WAYS = 8

_SCHEMES = {
    "PROXY": "http",
    "HTTP": "http",
    "HTTPS": "https",
    "SOCKS": "socks5",
    "SOCKS5": "socks5",
}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


async def pac_chains(location: PacLocation, url: ServerUrl, dial: Dial) -> list[Chain]:
    """What the PAC file says of `url`, in its order; it is fetched by `dial`.

    Raises `ConfigurationError` for a file that is none, and `DialError` where it can't be fetched.
    """
    if importlib.util.find_spec("dukpy") is None:
        raise ConfigurationError(f"{location}: to run it, install underpass[pac]")
    script = await fetch(location, dial)
    return parse_found(await run(script, url, str(location)), str(location))


async def fetch(location: PacLocation, dial: Dial) -> str:
    """The script itself. Raises as `pac_chains` does."""
    if location.path is not None:
        try:
            body = await asyncio.to_thread(_read, location.path)
        except OSError as error:
            raise ConfigurationError(f"{location}: {error.strerror}") from None
    else:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                body = await _download(location.url, dial)
        except TimeoutError:
            raise DialError(Failure.CONNECTION_TIMEOUT, f"{location} did not come") from None
        except (CarrierError, DialError, ValueError) as error:
            raise DialError(Failure.UPSTREAM_REFUSED, f"{location}: {error}") from error
    if len(body) > MAX_BYTES:
        raise ConfigurationError(f"{location}: longer than {MAX_BYTES} bytes")
    return body.decode("utf-8", "replace")


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


async def _download(url: str, dial: Dial) -> bytes:
    server, rest = split_url(url)
    for _ in range(MAX_REDIRECTS + 1):
        answer = await _get(server, rest, dial)
        if answer.status == 200:
            return answer.body
        place = answer.fields.get(b"location")
        if answer.status not in _REDIRECTS or place is None:
            raise answer.error("no PAC file")
        url = urllib.parse.urljoin(url, place.decode("ascii", "replace"))
        target, rest = split_url(url)
        if target.address.host != server.address.host:
            raise CarrierError(f"it is at another host, {target.address.host}: name it there")
        server = target
    raise CarrierError("redirected again and again")


async def _get(server: ServerUrl, rest: str, dial: Dial) -> Answer:
    opens = ServerTls(Trust()).dial(dial) if server.is_tls else dial
    client = HttpClient(server, lambda: StreamRoute(opens, server.address))
    try:
        return await client.exchange(Request("GET", rest, seconds=FETCH_SECONDS))
    finally:
        client.close()


async def run(script: str, url: ServerUrl, name: str) -> str:
    """Run the script in a process of its own; what FindProxyForURL returned.

    Raises `ConfigurationError`, also when it takes too long.
    """
    # As browsers, without the path, which is the server's secret from visitors.
    place = f"{url.scheme}://{url.target('').host_field.decode('ascii')}/"
    asked = {"script": script, "url": place, "host": url.address.host}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-m", "underpass.outbound.pac_child"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={},
    )
    try:
        async with asyncio.timeout(RUN_SECONDS):
            answer, _ = await process.communicate(json.dumps(asked).encode())
    except TimeoutError:
        raise ConfigurationError(f"{name}: takes longer than {RUN_SECONDS:g} s to run") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    said = json.loads(answer) if answer else {"error": "its process was ended by a limit"}
    if "found" not in said:
        raise ConfigurationError(f"{name}: {said['error']}")
    return str(said["found"])


def parse_found(found: str, name: str) -> list[Chain]:
    """Parse ``PROXY a:1; SOCKS b:2; DIRECT``; what is unknown is passed over.

    Raises `ConfigurationError` where nothing is left.
    """
    chains: list[Chain] = []
    for entry in found.split(";"):
        kind, _, place = entry.strip().partition(" ")
        if kind.upper() == "DIRECT":
            chains.append(())
        elif kind.upper() in _SCHEMES:
            with contextlib.suppress(ValueError):
                chains.append((Via.parse(f"{_SCHEMES[kind.upper()]}://{place.strip()}"),))
    if not found.strip():
        # Browsers take nothing for DIRECT.
        return [()]
    if not chains:
        raise ConfigurationError(f"{name}: names no proxy that can be used")
    return list(dict.fromkeys(chains))[:MAX_WAYS]
