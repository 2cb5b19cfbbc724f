"""A browser loads a page with all that pages are made of, through the proxy and the tunnel."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.origins import Authority, Handler, HttpOrigin, LoopThread, Visit, websocket_origin
from tests.real.conftest import StartProxy
from tests.real.processes import END_SECONDS, ProxyProcess, clean_environment
from tests.real.tunnel import tunnel_in

pytestmark = [pytest.mark.real, pytest.mark.slow]

# A start takes a second on an idle machine; the page itself much less.
CHROMIUM_SECONDS = 40

# A browser's own visits to its maker are no part of the test: nothing but loopback is let out.
LOOPBACK_ONLY = ("--deny", "*", "--allow", "127.0.0.0/8")

PAGE = """\
<!doctype html>
<title>A page</title>
<link rel="stylesheet" href="/style.css">
<p id="styled">text</p>
<img id="picture" src="/picture.svg" alt="">
<pre id="seen"></pre>
<script src="/script.js"></script>
<!-- Held back until the script has reported, and with it the load event and the dump. -->
<img src="/held" alt="">
"""

SCRIPT = """\
const say = seen => document.getElementById("seen").textContent = JSON.stringify(seen);

const spoken = () => new Promise((resolve, reject) => {
  const socket = new WebSocket("WEBSOCKET");
  socket.onopen = () => socket.send("over the WebSocket");
  socket.onmessage = message => { socket.close(); resolve(message.data); };
  socket.onerror = () => reject(new Error("no WebSocket"));
});

const look = async () => {
  const picture = document.getElementById("picture");
  await picture.decode();
  const posted = await fetch("/upload", {method: "POST", body: "x".repeat(100000)});
  return {
    width: picture.naturalWidth,
    colour: getComputedStyle(document.getElementById("styled")).color,
    fetched: (await (await fetch("/bytes/200000")).arrayBuffer()).byteLength,
    posted: (await posted.json()).length,
    said: await spoken(),
  };
};

look().catch(error => ({error: String(error)})).then(say).then(() => fetch("/report"));
"""

FILES = {
    "/style.css": ("text/css", "#styled { color: rgb(1, 2, 3) }"),
    "/picture.svg": (
        "image/svg+xml",
        '<svg xmlns="http://www.w3.org/2000/svg" width="17" height="5"></svg>',
    ),
}

SEEN = {
    "width": 17,
    "colour": "rgb(1, 2, 3)",
    "fetched": 200_000,
    "posted": 100_000,
    "said": "over the WebSocket",
}


def publish(origin: HttpOrigin, websocket: str) -> None:
    """Put the page and its parts on `origin`."""

    async def report(visit: Visit) -> None:
        visit.answer(b"", "text/plain")
        origin.steps.release()

    async def held(visit: Visit) -> None:
        await origin.steps.acquire()
        visit.answer(b"", "text/plain", 404)

    def file(kind: str, text: str) -> Handler:
        async def answer(visit: Visit) -> None:
            visit.answer(text.encode(), kind)

        return answer

    files = {
        **FILES,
        "/page": ("text/html", PAGE),
        "/script.js": ("text/javascript", SCRIPT.replace("WEBSOCKET", websocket)),
    }
    origin.routes.update({path: file(*parts) for path, parts in files.items()})
    origin.routes.update({"/report": report, "/held": held})


@pytest.fixture(params=["http", "https"])
def page(request: pytest.FixtureRequest, plain: HttpOrigin, secure: HttpOrigin) -> HttpOrigin:
    return plain if request.param == "http" else secure


def pin_of(authority: Authority) -> str:
    """How Chromium is told to trust one key (an RFC 7469 pin), with no store touched."""
    certificate = x509.load_pem_x509_certificate(authority.cert_file.read_bytes())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(key).digest()).decode()


def dump(command: list[str | Path], log: Path) -> str:
    """Run Chromium; the document as it stands after its load event."""
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=clean_environment(),
            # Its helpers are in a group with it, and go with it.
            process_group=0,
        )
        assert process.stdout is not None
        try:
            output, _ = process.communicate(timeout=CHROMIUM_SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()
    assert process.returncode == 0, log.read_text(errors="replace")[-3000:]
    return output.decode()


Browse = Callable[[str, str], str]


@pytest.fixture
def browse(program: Callable[[str], Path], authority: Authority, tmp_path: Path) -> Browse:
    """Load a page in a new Chromium that has the proxy for everything, loopback too."""
    chromium = program("chromium")

    def load(proxy: str, url: str) -> str:
        command: list[str | Path] = [
            *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
            *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
            *("--disable-sync", "--disable-dev-shm-usage", f"--user-data-dir={tmp_path}/profile"),
            *(f"--proxy-server={proxy}", "--proxy-bypass-list=<-loopback>"),
            f"--ignore-certificate-errors-spki-list={pin_of(authority)}",
            *("--dump-dom", url),
        ]
        return dump(command, tmp_path / "chromium.log")

    return load


def seen(document: str) -> object:
    """What the page's script says that it saw."""
    found = re.search(r'<pre id="seen">(.*?)</pre>', document)
    assert found is not None, document
    said: object = json.loads(found[1])
    return said


@pytest.mark.parametrize("listener", ["http", "https"])
def test_page_loads_whole_and_nothing_else_gets_out(
    browse: Browse,
    start_proxy: StartProxy,
    authority: Authority,
    origins: LoopThread,
    page: HttpOrigin,
    listener: str,
) -> None:
    tls = ("--tls-cert", authority.cert_file, "--tls-key", authority.key_file)
    proxy = start_proxy(*LOOPBACK_ONLY, *(tls if listener == "https" else ()), "--log", "json")
    context = authority.server_context() if page.scheme == "https" else None
    with origins.within(websocket_origin(context)) as websocket:
        publish(page, websocket)
        assert seen(browse(proxy.url, f"{page.url}/page")) == SEEN
        speaker = websocket.split("/")[2]
    check_log(proxy, {page.name, speaker}, plain=page.scheme == "http")


def check_log(proxy: ProxyProcess, local: set[str], *, plain: bool) -> None:
    # Its end waits for all tunnels of the browser, and for their lines.
    proxy.process.send_signal(signal.SIGTERM)
    assert proxy.process.wait(END_SECONDS) == 0
    lines = [json.loads(line) for line in proxy.lines()]
    lines = [line for line in lines if line["kind"] == "access"]
    served = {(line["method"], line["address"]) for line in lines if line["status"] < 400}
    assert {address for _, address in served} == local
    # Over TLS the proxy sees tunnels alone, whatever happens in them.
    methods = {"CONNECT", "GET", "POST"} if plain else {"CONNECT"}
    assert {method for method, _ in served} == methods


def test_refusal_is_shown_to_its_reader(browse: Browse, start_proxy: StartProxy) -> None:
    proxy = start_proxy(*LOOPBACK_ONLY)
    document = browse(proxy.url, "http://10.1.2.3/page")
    assert "403" in document
    assert "10.1.2.3" in document
    assert proxy.wait_for_line("GET 10.1.2.3:80 403")


@pytest.mark.parametrize("front_end", ["socks5", "http"])
@pytest.mark.parametrize("kind", ["websocket", "poll"])
def test_page_loads_whole_through_the_tunnel(
    browse: Browse,
    front_end: str,
    kind: str,
    origins: LoopThread,
    secure: HttpOrigin,
    authority: Authority,
    tmp_path: Path,
) -> None:
    with (
        tunnel_in(tmp_path, "--deny", "*") as tunnel,
        origins.within(websocket_origin(authority.server_context())) as websocket,
    ):
        publish(secure, websocket)
        tunnel.join("work")
        client = tunnel.start_client("work", "--carrier", kind)
        client.wait_for(f"tunnel up: {kind}")
        proxy = f"{front_end}://127.0.0.1:{client.port(front_end)}"
        assert seen(browse(proxy, f"{secure.url}/page")) == SEEN
