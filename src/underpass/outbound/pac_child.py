"""The process that runs a PAC file: a script of somebody else's, with nothing but names to ask for.

It reads one JSON object from standard input (script, url, host), and writes one to standard output:
``{"found": "PROXY …"}`` or ``{"error": "…"}``. `underpass.outbound.pac` bounds its time.
"""

from __future__ import annotations

import json
import resource
import socket
import sys
from pathlib import Path

# A second bound on time, should whoever started this be gone: processor seconds.
CPU_SECONDS = 2

# Ours is 60 MiB with the interpreter; the largest PAC files with their tables are 1 MiB.
MEMORY_BYTES = 256 * 1024 * 1024

# More than any list of proxies; a name server's socket and files of the system need the others.
MAX_FOUND = 4096
MAX_FILES = 32

FUNCTIONS = Path(__file__).with_name("pac_functions.js")

# Any port does: a UDP socket that is connected sends nothing.
_PROBE = ("192.0.2.1", 9)


def limit() -> None:
    """Bound this process: time, memory, files; it can't write any."""
    for kind, value in (
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, MAX_FILES),
    ):
        resource.setrlimit(kind, (value, value))


def resolve(host: str) -> str:
    """The first IPv4 address of `host`, or an empty text: PAC knows no other."""
    try:
        return socket.gethostbyname(host)
    except (OSError, UnicodeError):
        return ""


def own() -> str:
    """This machine's address, as others see it where it sends to the world; or an empty text."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_PROBE)
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def find(script: str, url: str, host: str) -> str:
    """What the script's FindProxyForURL says. Raises `ValueError` where it says nothing."""
    import dukpy  # noqa: PLC0415 - an extra

    interpreter = dukpy.JSInterpreter()
    for name in ("dukpy.load_module", "dukpy.normalize_module"):
        # A PAC file is one file.
        interpreter.export_function(name, lambda *ignored: None)
    interpreter.export_function("resolve", resolve)
    interpreter.export_function("own", own)
    try:
        interpreter.evaljs(FUNCTIONS.read_text(encoding="utf-8") + "; null")
        interpreter.evaljs(script + "\n; null")
        found = interpreter.evaljs("FindProxyForURL(dukpy.url, dukpy.host)", url=url, host=host)
    except dukpy.JSRuntimeError as error:
        raise ValueError(str(error).partition("\n")[0]) from None
    if not isinstance(found, str) or len(found) > MAX_FOUND:
        raise ValueError("FindProxyForURL returned no list of proxies")
    return found


def main() -> None:
    """Read, run, answer."""
    asked = json.load(sys.stdin)
    try:
        answer = {"found": find(asked["script"], asked["url"], asked["host"])}
    except (ValueError, MemoryError) as error:
        answer = {"error": str(error) or "out of memory"}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    limit()
    main()
