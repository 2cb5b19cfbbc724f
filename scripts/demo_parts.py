"""What the demos share: origins, programs that are started and ended, curl, and the account."""

from __future__ import annotations

import contextlib
import os
import random
import re
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
from collections.abc import Callable, Iterator, Sequence
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

NOT_INSTALLED = """\
{name} is not installed, and this demo needs it. Install it (Debian, Ubuntu: `sudo apt-get install
{name}`; Fedora: `sudo dnf install {name}`; macOS has it) and run it again."""

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
    """A program of ours that accepts at `url` and writes its log to `log`."""

    url: str
    log: Path


@contextlib.contextmanager
def underpass(log: Path, *arguments: str) -> Iterator[RunningProxy]:
    """Run one of our commands, which accepts by now. Raises `DemoError` where it does not."""
    command = [sys.executable, "-m", "underpass", *arguments]
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
        end(process)


def _wait_for_listening(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    output = ""
    while (url := listening_url(output)) is None:
        left = deadline - time.monotonic()
        if process.stdout is None or not select.select([process.stdout], [], [], max(0, left))[0]:
            raise DemoError(f"underpass did not accept within {START_SECONDS:g} s")
        data = os.read(process.stdout.fileno(), 4096)
        if not data:
            raise DemoError(f"underpass ended at its start:\n{log.read_text(errors='replace')}")
        output += data.decode("ascii", "replace")
    return url


def end(process: subprocess.Popen[bytes]) -> None:
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


def play(title: str, programs: Sequence[str], run: Callable[[Path], None]) -> int:
    """Run a demo in a folder that is gone afterwards; the exit code.

    `programs` are needed; `run` raises `DemoError` where something is not as it should be.
    """
    started = time.monotonic()
    # What is under way is ended in order on SIGTERM as on Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for name in programs:
        if shutil.which(name) is None:
            print(NOT_INSTALLED.format(name=name), file=sys.stderr)
            return 1
    print(f"underpass demo: {title}\n", flush=True)
    try:
        with tempfile.TemporaryDirectory(prefix="underpass-demo-") as folder:
            run(Path(folder))
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
