"""Where proxies are found without being named: the environment, then the system (docs/routes.md).

Nothing is looked for on the network by itself (no WPAD): who answers there first would decide where
everything goes.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from underpass.address import Address
from underpass.carriers.server_url import ServerUrl
from underpass.errors import ConfigurationError
from underpass.net.stream import Dial
from underpass.outbound.no_proxy import NoProxy
from underpass.outbound.pac_location import PacLocation
from underpass.outbound.via import Chain, Via

# gsettings reads one file; a desktop that hangs is not waited for.
SETTINGS_SECONDS = 2.0
MAX_SETTINGS_BYTES = 64 * 1024

_SCHEMA = "org.gnome.system.proxy"


@dataclass(frozen=True, slots=True)
class Setting:
    """What one source says: a proxy's URL, a PAC file's place, or that there is none."""

    proxy: str = ""
    pac: str = ""
    source: str = ""


async def automatic_chains(url: ServerUrl, environ: Mapping[str, str], dial: Dial) -> list[Chain]:
    """The chains to `url` that the environment, or else the system, says; best first.

    After a proxy comes the direct way: a machine that is carried about keeps its settings. Raises
    `ConfigurationError` for a setting that is none, and `DialError` where its PAC file does not
    come; what a PAC file says holds alone.
    """
    setting = from_environment(url, environ)
    if setting is None:
        setting = await from_system(url, environ)
    if setting is None:
        return [()]
    if setting.pac:
        from underpass.outbound.pac import pac_chains  # noqa: PLC0415 - few networks have one

        return await pac_chains(_located(setting), url, dial)
    if not setting.proxy:
        return [()]
    return [(_parsed(setting),), ()]


def _parsed(setting: Setting) -> Via:
    text = setting.proxy if "://" in setting.proxy else f"http://{setting.proxy}"
    try:
        return Via.parse(text)
    except ValueError as error:
        raise ConfigurationError(f"{setting.source}: {error}") from None


def _located(setting: Setting) -> PacLocation:
    try:
        return PacLocation.parse(setting.pac)
    except ValueError as error:
        raise ConfigurationError(f"{setting.source}: {error}") from None


def from_environment(url: ServerUrl, environ: Mapping[str, str]) -> Setting | None:
    """What HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY say, the lower-case ones first.

    None where no proxy is named there at all.
    """
    names = [f"{url.scheme}_proxy", "all_proxy"]
    if "REQUEST_METHOD" in environ and url.scheme == "http":
        # In a CGI program HTTP_PROXY is what a client sent as its Proxy field (CVE-2016-5385).
        environ = {name: value for name, value in environ.items() if name != "HTTP_PROXY"}
    for name in names:
        for spelling in (name, name.upper()):
            if proxy := environ.get(spelling, "").strip():
                no_proxy = environ.get("no_proxy", "") or environ.get("NO_PROXY", "")
                return _unless(NoProxy(no_proxy), url.address, Setting(proxy, source=spelling))
    return None


def _unless(no_proxy: NoProxy, address: Address, setting: Setting) -> Setting:
    return Setting(source=setting.source) if no_proxy.covers(address) else setting


async def from_system(url: ServerUrl, environ: Mapping[str, str]) -> Setting | None:
    """What the system's settings say; None where there are none."""
    if sys.platform in ("darwin", "win32"):
        return _from_urllib(url)
    if "XDG_CURRENT_DESKTOP" not in environ or shutil.which("gsettings") is None:
        # Without a desktop nobody has set anything, and asking may start one's services.
        return None
    return parse_gnome(await _gsettings(), url)


def _from_urllib(url: ServerUrl) -> Setting | None:
    import urllib.request  # noqa: PLC0415 - slow to load, and not for every system

    proxy = urllib.request.getproxies().get(url.scheme)
    if not proxy or urllib.request.proxy_bypass(url.address.host):
        return None
    return Setting(proxy, source="the system's settings")


async def _gsettings() -> str:
    process = await asyncio.create_subprocess_exec(
        *("gsettings", "list-recursively", _SCHEMA),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    said = b""
    try:
        async with asyncio.timeout(SETTINGS_SECONDS):
            if process.stdout is not None:
                said = await process.stdout.read(MAX_SETTINGS_BYTES)
    except TimeoutError:
        said = b""
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    return said.decode("utf-8", "replace")


def parse_gnome(text: str, url: ServerUrl) -> Setting | None:
    """What ``gsettings list-recursively org.gnome.system.proxy`` says of `url`."""
    settings = dict(_lines(text))
    source = "the desktop's proxy settings"
    match settings.get("mode"):
        case "auto" if settings.get("autoconfig-url"):
            return Setting(pac=str(settings["autoconfig-url"]), source=source)
        case "manual":
            pass
        case _:
            return None
    ignored = settings.get("ignore-hosts")
    no_proxy = NoProxy(",".join(map(str, ignored)) if isinstance(ignored, list) else "")
    for kind, scheme in ((url.scheme, "http"), ("socks", "socks5")):
        host, port = settings.get(f"{kind}.host"), settings.get(f"{kind}.port")
        if host and port:
            place = f"[{host}]" if ":" in str(host) else host
            setting = Setting(f"{scheme}://{place}:{port}", source=source)
            return _unless(no_proxy, url.address, setting)
    return None


def _lines(text: str) -> list[tuple[str, object]]:
    """Keys below the schema, such as ``http.host``, and their values."""
    found: list[tuple[str, object]] = []
    for line in text.splitlines():
        schema, _, rest = line.partition(" ")
        key, _, value = rest.partition(" ")
        if not schema.startswith(_SCHEMA):
            continue
        below = schema.removeprefix(_SCHEMA).removeprefix(".")
        try:
            # GVariant's text is Python's but for the name of a type in front.
            plain = value.removeprefix("@as ").removeprefix("uint32 ")
            found.append((f"{below}.{key}" if below else key, ast.literal_eval(plain)))
        except (ValueError, SyntaxError):
            continue
    return found
