"""`make demo`: the main job. Applications reach the world through a proxy that forbids CONNECT.

On this machine alone: origins, a real squid that refuses CONNECT, the tunnel's server behind it and
the client before it. Through the tunnel go a page, a 50 MB file (while squid is killed and started
again), a git clone and an SSH session. Then it prints what happened and ends: with 0, or with 1
and a plain reason. Every wait has a bound, and nothing is left behind.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
import random
import re
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from scripts.demo_network import HostileProxy, find, free_port, hostile_proxy, wait_for_port
from scripts.demo_parts import START_SECONDS, DemoError, end, environment, play, say
from scripts.demo_ssh import make_sshd_files

FILE_BYTES = 50_000_000
# The file is served this fast, so that squid can be killed in the middle of it.
FILE_RATE = 12_000_000
PIECE_BYTES = 64 * 1024
COMMAND_SECONDS = 60.0

# When squid is killed, in seconds after the download began.
KILLS = (1.0, 2.5)


class Origin(BaseHTTPRequestHandler):
    """A page, a large file that comes slowly, and a git repository as files."""

    protocol_version = "HTTP/1.1"
    timeout = COMMAND_SECONDS
    file = random.Random(1).randbytes(FILE_BYTES)
    repository = Path()

    def do_GET(self) -> None:
        """Answer one request."""
        if self.path == "/file":
            self._slowly(self.file)
            return
        path = self.repository / self.path.partition("?")[0].removeprefix("/repository.git/")
        found = self.path.startswith("/repository.git/") and path.is_file()
        body = path.read_bytes() if found else b"Hello from the other side.\n"
        self.send_response(200 if found or self.path == "/hello" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _slowly(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        started = time.monotonic()
        for at in range(0, len(body), PIECE_BYTES):
            self.wfile.write(body[at : at + PIECE_BYTES])
            time.sleep(max(0.0, started + at / FILE_RATE - time.monotonic()))

    def log_message(self, *_: object) -> None:
        """Say nothing: the account is the demo's own."""


class OriginServer(ThreadingHTTPServer):
    """Serves `Origin` on a free port of loopback."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Origin)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that left: what matters shows at curl's end."""


# --- programs -------------------------------------------------------------------------------------


class Program:
    """One of our commands; what it prints is read as it comes."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.log = folder / f"{arguments[0]}.log"
        self._lines: list[str] = []
        self._printed = threading.Condition()
        with self.log.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "underpass", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=ours(folder),
            )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            with self._printed:
                self._lines.append(line.decode("utf-8", "replace").strip())
                self._printed.notify_all()

    def wait_for(self, pattern: str) -> str:
        """The first group of the first line that fits. Raises `DemoError`."""
        deadline = time.monotonic() + START_SECONDS
        with self._printed:
            while True:
                for line in self._lines:
                    if found := re.search(pattern, line):
                        return found[1]
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise DemoError(f"no line with {pattern!r} came:\n{self.log.read_text()}")
                self._printed.wait(0.1)

    def end(self) -> None:
        """End it in order."""
        end(self._process)


def ours(folder: Path) -> dict[str, str]:
    """An environment in which everything of ours stays below `folder`."""
    places = {"XDG_CONFIG_HOME": str(folder / "config"), "XDG_STATE_HOME": str(folder / "state")}
    return environment() | places


@contextlib.contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Program]:
    """Run a command of ours for the time of the block."""
    program = Program(folder, *arguments)
    try:
        yield program
    finally:
        program.end()


def command(*arguments: str | Path, folder: Path, given: str = "") -> str:
    """Run a program to its end and return what it printed. Raises `DemoError`."""
    done = subprocess.run(
        arguments,
        input=given,
        capture_output=True,
        text=True,
        env=ours(folder) | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0"},
        timeout=COMMAND_SECONDS,
        check=False,
    )
    if done.returncode:
        shown = shlex.join(str(argument) for argument in arguments)
        raise DemoError(f"`{shown}` failed: {done.stderr.strip() or done.returncode}")
    return done.stdout


def underpass(*arguments: str, folder: Path, given: str = "") -> str:
    """Run one of our commands to its end."""
    return command(sys.executable, "-m", "underpass", *arguments, folder=folder, given=given)


# --- the steps ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stage:
    """What the steps need: where the origin is, and the client's front ends."""

    folder: Path
    origin: str
    socks: str
    http: str
    proxy: HostileProxy


def show_refusal(stage: Stage) -> None:
    """What the network does to CONNECT."""
    print(f"1. The network: {stage.proxy.name} is the only way out, and refuses CONNECT.")
    say(f"$ curl -x {stage.proxy.url} --proxytunnel {stage.origin}/hello")
    done = subprocess.run(
        ["curl", "-q", "-sS", "-x", stage.proxy.url, "-p", f"{stage.origin}/hello"],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=COMMAND_SECONDS,
        check=False,
    )
    if not done.returncode:
        raise DemoError("the proxy lets CONNECT through")
    say(f"{done.stderr.strip()}\n\n")


def fetch(stage: Stage, through: str, path: str) -> bytes:
    """Fetch with curl through one of the client's front ends."""
    say(f"$ curl -x {through} {stage.origin}{path}")
    target = stage.folder / "fetched"
    command(
        *("curl", "-q", "-sS", "--fail", "--noproxy", "", "-x", through, "-o", target),
        f"{stage.origin}{path}",
        folder=stage.folder,
    )
    return target.read_bytes()


def show_pages(stage: Stage) -> None:
    """A page through each front end."""
    print("3. A page, through the SOCKS and the HTTP front end.")
    for through in (stage.socks.replace("socks5:", "socks5h:"), stage.http):
        say(fetch(stage, through, "/hello").decode())
    print()


def show_file(stage: Stage) -> None:
    """A large file, while everything under it is torn down."""
    print(f"4. {FILE_BYTES // 1_000_000} MB, while the proxy is killed and started again.")
    timers = [threading.Timer(after, stage.proxy.break_all) for after in KILLS]
    for timer in timers:
        timer.start()
    started = time.monotonic()
    try:
        body = fetch(stage, stage.socks.replace("socks5:", "socks5h:"), "/file")
    finally:
        for timer in timers:
            timer.cancel()
            timer.join()
    took = time.monotonic() - started
    got, sent = (hashlib.sha256(data).hexdigest() for data in (body, Origin.file))
    if got != sent:
        raise DemoError(f"{len(body)} bytes arrived with SHA-256 {got}, not {sent}")
    say(f"{len(body) / 1e6:.0f} MB in {took:.1f} s, through {len(KILLS)} deaths of the proxy;")
    say(f"one connection of curl's, every byte as it was sent: SHA-256\n{got}\n\n")


def make_repository(folder: Path) -> Path:
    """A bare repository with a commit, to be served as files."""
    work, bare = folder / "work", folder / "repository.git"
    git = ("git", "-c", "user.name=Demo", "-c", "user.email=demo@example.com", "-C", work)
    command("git", "init", "-q", "-b", "main", work, folder=folder)
    (work / "README").write_text("Cloned through the tunnel.\n")
    command(*git, "add", ".", folder=folder)
    command(*git, "commit", "-q", "-m", "Say hello", folder=folder)
    command("git", "clone", "-q", "--bare", work, bare, folder=folder)
    command("git", "-C", bare, "update-server-info", folder=folder)
    return bare


def show_git(stage: Stage) -> None:
    """A clone."""
    print("5. git clone, through the SOCKS front end.")
    through = stage.socks.replace("socks5:", "socks5h:")
    say(f"$ git -c http.proxy={through} clone {stage.origin}/repository.git")
    clone = stage.folder / "clone"
    url = f"{stage.origin}/repository.git"
    command("git", "-c", f"http.proxy={through}", "clone", "-q", url, clone, folder=stage.folder)
    say(f"README: {(clone / 'README').read_text()}\n")


@contextlib.contextmanager
def ssh_server(folder: Path) -> Iterator[int]:
    """sshd with keys of its own; its port."""
    sshd, keygen = find("sshd"), find("ssh-keygen")
    if sshd is None or keygen is None:
        raise DemoError("no sshd")
    port = free_port()
    config = make_sshd_files(folder, port, keygen)
    process = subprocess.Popen(
        [sshd, "-D", "-e", "-f", str(config)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port, process, "sshd")
        yield port
    finally:
        end(process)


def show_ssh(stage: Stage, port: int) -> None:
    """A session, with a tunnel of its own on standard input and output."""
    print("6. ssh, with `underpass stdio` as its ProxyCommand.")
    say("$ ssh -o ProxyCommand='underpass stdio demo %h:%p' 127.0.0.1 ...")
    keys = stage.folder / "ssh"
    via = f"--via {stage.proxy.url}"
    stdio = f"{shlex.quote(sys.executable)} -m underpass stdio {via} demo %h:%p"
    options = {
        "ProxyCommand": stdio,
        "UserKnownHostsFile": str(keys / "known_hosts"),
        "StrictHostKeyChecking": "yes",
        "IdentitiesOnly": "yes",
        "BatchMode": "yes",
        "LogLevel": "ERROR",
    }
    settings = (f"-o{name}={value}" for name, value in options.items())
    login = f"{getpass.getuser()}@127.0.0.1"
    said = command(
        *("ssh", "-F", "none", "-i", str(keys / "user_key"), *settings, "-p", str(port), login),
        "echo Hello from a shell on the other side",
        folder=stage.folder,
    )
    say(said)


# --- the whole ------------------------------------------------------------------------------------


@contextlib.contextmanager
def origin(folder: Path) -> Iterator[str]:
    """The origin's URL."""
    Origin.repository = make_repository(folder)
    server = OriginServer()
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def run(folder: Path) -> None:
    """The whole demo, with its files below `folder`. Raises `DemoError`."""
    with contextlib.ExitStack() as stack:
        there = stack.enter_context(origin(folder))
        proxy = stack.enter_context(hostile_proxy(folder))
        # Loopback is denied by default; here it stands for the world outside.
        rules = ("--allow", "127.0.0.1")
        server = stack.enter_context(running(folder, "server", "--listen", "127.0.0.1:0", *rules))
        url = server.wait_for(r"listening (http://\S+)")
        invite = underpass("invite", "demo", "--url", url, folder=folder)
        underpass("join", "demo", folder=folder, given=invite)
        listen = ("--socks", "127.0.0.1:0", "--http", "127.0.0.1:0", "--via", proxy.url)
        client = stack.enter_context(running(folder, "client", "demo", *listen))
        socks = client.wait_for(r"listening (socks5://\S+)")
        http = client.wait_for(r"listening (http://\S+)")
        stage = Stage(folder, there, socks, http, proxy)
        show_refusal(stage)
        print("2. The tunnel: the client inside finds a way to the server outside.")
        say(f"tunnel up: {client.wait_for('tunnel up: (.*)')}\n\n")
        show_pages(stage)
        show_file(stage)
        show_git(stage)
        if find("sshd") is None or find("ssh") is None:
            print("6. ssh is not installed here (with its server), so that step is left out.")
            return
        show_ssh(stage, stack.enter_context(ssh_server(folder / "ssh")))


if __name__ == "__main__":
    sys.exit(play("out of a network that forbids CONNECT.", ("curl", "git"), run))
