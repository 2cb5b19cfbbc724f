"""`make demo`: the proxy at work between real curl and two servers, all on this machine.

It starts a plain HTTP server and one with TLS (by a certificate authority that lives as long as the
demo), the proxy as a program of its own, and fetches through it. Then it prints what happened and
ends: with 0, or with 1 and a plain reason. Every wait has a bound, and nothing is left behind.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import re
import secrets
import select
import shlex
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme

# A start takes a quarter of a second; a busy machine gets a lot more.
START_SECONDS = 10.0
# What is fetched is on this machine: a fetch that takes longer hangs.
FETCH_SECONDS = 10
END_SECONDS = 5.0

# Enough that a lost or altered byte would show, little enough to be there at once.
FILE_BYTES = 8_000_000
GREETING = b"Hello from a plain HTTP server.\n"

# Where clouds keep the credentials of their machines: what proxies are most often abused for.
PRIVATE_URL = "http://169.254.169.254/latest/meta-data/"

NO_CURL = """\
curl is not installed, and this demo fetches with it. Install it (Debian, Ubuntu: `sudo apt-get
install curl`; Fedora: `sudo dnf install curl`; macOS has it) and run `make demo` again."""

_LISTENING = re.compile(r"listening (https?://\S+)")
# The developer's own proxies and options must not reach what is shown here.
_NOT_PASSED_ON = re.compile(r"(?i:(?:http|https|all|no)_proxy)|UNDERPASS_.*")


class DemoError(Exception):
    """Something did not work; the text says what, in words for people."""


# --- the servers ----------------------------------------------------------------------------------


class Origin(BaseHTTPRequestHandler):
    """A server's answers: a greeting at ``/hello``, bytes that look random at ``/file``."""

    protocol_version = "HTTP/1.1"
    timeout = FETCH_SECONDS
    file = random.Random(1).randbytes(FILE_BYTES)

    def do_GET(self) -> None:
        """Answer one request."""
        body = {"/hello": GREETING, "/file": self.file}.get(self.path)
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        """Say nothing: the account is the demo's own."""


class OriginServer(ThreadingHTTPServer):
    """Serves `Origin` on a free port of loopback, over TLS with a `context`."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Origin)
        self.scheme = "https" if context else "http"
        if context is not None:
            # The handshake is left to the thread that serves the client: this one accepts.
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    @property
    def name(self) -> str:
        """Its address, as rules and URLs have it."""
        return f"127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        """Its root, without a slash at the end."""
        return f"{self.scheme}://{self.name}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that left: what matters shows at curl's end."""


@contextlib.contextmanager
def serving(server: OriginServer) -> Iterator[OriginServer]:
    """Run `server` in a thread of its own."""
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def certificates(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A TLS context for loopback, and the file of the authority that signed for it."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    path = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return context, path


# --- the proxy ------------------------------------------------------------------------------------


def environment() -> dict[str, str]:
    """This process's environment without proxies and options of ours."""
    return {k: v for k, v in os.environ.items() if not _NOT_PASSED_ON.fullmatch(k)}


def listening_url(output: str) -> str | None:
    """The URL in the line that the proxy prints once it accepts; None before that."""
    found = _LISTENING.search(output) if "\n" in output else None
    return found[1] if found else None


@dataclass(frozen=True)
class RunningProxy:
    """A proxy that accepts at `url` and writes its log to `log`."""

    url: str
    log: Path


@contextlib.contextmanager
def proxy(log: Path, *flags: str) -> Iterator[RunningProxy]:
    """Run ``underpass proxy`` as a program. Raises `DemoError` where it does not start."""
    command = [sys.executable, "-m", "underpass", "proxy", "--listen", "127.0.0.1:0", *flags]
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment(),
        )
    try:
        yield RunningProxy(_wait_for_listening(process, log), log)
    finally:
        _end(process)


def _wait_for_listening(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    output = ""
    while (url := listening_url(output)) is None:
        left = deadline - time.monotonic()
        if process.stdout is None or not select.select([process.stdout], [], [], max(0, left))[0]:
            raise DemoError(f"the proxy did not accept within {START_SECONDS:g} s")
        data = os.read(process.stdout.fileno(), 4096)
        if not data:
            raise DemoError(f"the proxy ended at its start:\n{log.read_text(errors='replace')}")
        output += data.decode("ascii", "replace")
    return url


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end; one that does not is killed."""
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(END_SECONDS)
    finally:
        if process.stdout is not None:
            process.stdout.close()


def add_user(name: str, password: str, state: Path) -> None:
    """Make a user store with one user in it, as a person would. Raises `DemoError`."""
    done = subprocess.run(
        [sys.executable, "-m", "underpass", "user", "add", name, "--state", str(state)],
        input=f"{password}\n",
        capture_output=True,
        text=True,
        env=environment(),
        timeout=START_SECONDS,
        check=False,
    )
    if done.returncode:
        raise DemoError(f"`underpass user add` failed: {done.stderr.strip()}")


# --- fetching -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What curl got: the status, the header lines, the body, and how long all of it took."""

    status: int
    head: str
    body: bytes
    seconds: float

    def field(self, name: str) -> str:
        """The value of a header field, empty where there is none."""
        for line in self.head.splitlines():
            found, colon, value = line.partition(":")
            if colon and found.lower() == name.lower():
                return value.strip()
        return ""


@dataclass(frozen=True)
class Curl:
    """curl, the authority that it trusts, and a folder for what it fetches."""

    path: str
    ca_file: Path
    folder: Path

    def fetch(self, through: RunningProxy, url: str, login: str = "") -> Answer:
        """Fetch `url` by the proxy and show the command. Raises `DemoError`."""
        shown = ["curl", "-x", through.url, *(["-U", "demo:***"] if login else []), url]
        print(f"   $ {shlex.join(shown)}")
        head, body = self.folder / "head", self.folder / "body"
        body.write_bytes(b"")
        command: list[str | Path] = [
            *(self.path, "-q", "-sS", "--noproxy", "", "--cacert", self.ca_file),
            *("--max-time", str(FETCH_SECONDS), "-D", head, "-o", body),
            *("-w", "%{http_code} %{time_total}", "-K", "-", "-x", through.url, url),
        ]
        # The login goes in by standard input: arguments are seen by everybody on the machine.
        done = subprocess.run(
            command,
            input=f'proxy-user = "{login}"\n' if login else "",
            capture_output=True,
            text=True,
            env=environment(),
            timeout=2 * FETCH_SECONDS,
            check=False,
        )
        if done.returncode:
            raise DemoError(f"curl could not fetch {url}: {done.stderr.strip()}")
        status, seconds = done.stdout.split()
        text = head.read_text(errors="replace")
        return Answer(int(status), text, body.read_bytes(), float(seconds))


def expect(answer: Answer, status: int) -> Answer:
    """Return `answer` if it has `status`. Raises `DemoError`."""
    if answer.status != status:
        raise DemoError(f"expected the status {status}, got {answer.status}:\n{answer.head}")
    return answer


# --- the account ----------------------------------------------------------------------------------


def say(text: str) -> None:
    """Print lines of the account, indented below their step."""
    print("\n".join(f"   {line}".rstrip() for line in text.splitlines()), flush=True)


def show_get(curl: Curl, through: RunningProxy, origin: OriginServer) -> None:
    """A plain request, forwarded."""
    print("1. A plain GET: the proxy forwards the request.")
    answer = expect(curl.fetch(through, f"{origin.url}/hello"), 200)
    if answer.body != GREETING:
        raise DemoError(f"the greeting arrived as {answer.body!r}")
    say(f"{answer.status} after {answer.seconds * 1000:.0f} ms: {answer.body.decode().strip()}\n")
    say(f"Via: {answer.field('Via')}\n\n")


def show_connect(curl: Curl, through: RunningProxy, origin: OriginServer) -> None:
    """A file from a TLS server, through CONNECT."""
    print("2. CONNECT to a TLS server: the proxy carries bytes that it cannot read.")
    answer = expect(curl.fetch(through, f"{origin.url}/file"), 200)
    got, sent = (hashlib.sha256(data).hexdigest() for data in (answer.body, Origin.file))
    if got != sent:
        raise DemoError(f"{len(answer.body)} bytes arrived with SHA-256 {got}, not {sent}")
    megabytes = len(answer.body) / 1e6
    say(f"{megabytes:.1f} MB after {answer.seconds * 1000:.0f} ms, as they were sent: SHA-256")
    say(f"{got}\n\n")


def show_refusal(curl: Curl, through: RunningProxy) -> None:
    """A destination that is denied by default."""
    print("3. A private destination: refused, with the reason for machines and for people.")
    answer = expect(curl.fetch(through, PRIVATE_URL), 403)
    say(f"{answer.status} Proxy-Status: {answer.field('Proxy-Status')}")
    say(f"{answer.body.decode('ascii', 'replace')}\n")


def show_users(curl: Curl, through: RunningProxy, origin: OriginServer, password: str) -> None:
    """A wrong and a right password."""
    print("4. A proxy with users: a wrong password is told so, the right one is let in.")
    answer = expect(curl.fetch(through, f"{origin.url}/hello", "demo:wrong"), 407)
    say(f"{answer.status} Proxy-Authenticate: {answer.field('Proxy-Authenticate')}")
    answer = expect(curl.fetch(through, f"{origin.url}/hello", f"demo:{password}"), 200)
    say(f"{answer.status} after {answer.seconds * 1000:.0f} ms\n\n")


def show_logs(logs: Sequence[Path]) -> None:
    """The access lines that the proxies wrote."""
    print("5. What the proxies wrote to their logs, a line for each request:")
    for log in logs:
        say(log.read_text(errors="replace"))


def run(curl_path: str, folder: Path) -> None:
    """The whole demo, with its files below `folder`. Raises `DemoError`."""
    context, ca_file = certificates(folder)
    password = secrets.token_urlsafe(12)
    state, logs = folder / "state", (folder / "open.log", folder / "users.log")
    add_user("demo", password, state)
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(serving(OriginServer()))
        secure = stack.enter_context(serving(OriginServer(context)))
        # Loopback is denied by default: these two servers alone are opened.
        rules = ("--allow", plain.name, "--allow", secure.name)
        first = stack.enter_context(proxy(logs[0], *rules))
        users = ("--auth", "basic", "--state", str(state))
        second = stack.enter_context(proxy(logs[1], *rules, *users))
        curl = Curl(curl_path, ca_file, folder)
        show_get(curl, first, plain)
        show_connect(curl, first, secure)
        show_refusal(curl, first)
        show_users(curl, second, plain, password)
    # They have ended: every line is written.
    show_logs(logs)


def main() -> int:
    """Run the demo; the exit code."""
    started = time.monotonic()
    # What is under way is ended in order on SIGTERM as on Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    curl_path = shutil.which("curl")
    if curl_path is None:
        print(NO_CURL, file=sys.stderr)
        return 1
    print("underpass demo: curl, a proxy and two servers, all on this machine.\n", flush=True)
    try:
        with tempfile.TemporaryDirectory(prefix="underpass-demo-") as folder:
            run(curl_path, Path(folder))
    except DemoError as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    except subprocess.TimeoutExpired as error:
        program = Path(str(error.cmd[0])).name
        print(f"\nThe demo failed: {program} took over {error.timeout:g} s", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"\nAll as it should be, in {time.monotonic() - started:.1f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
