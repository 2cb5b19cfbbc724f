"""What `make peers` fetches and builds, pinned; each recipe says what went wrong, or nothing.

Everything that is built goes to bench/peers, which git ignores, one after the other and with a low
priority. A second run only looks whether all is there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.programs.versions import BINARIES, PEERS, PEERS_PYTHON, system_program

# uvloop stands beside pproxy because pproxy is faster with it; 0.22 and later refuse the way in
# which pproxy asks for its loop. http-tunnel 0.5 and later is written for Python 3.12.
PYTHON_PEERS = (
    "pproxy==2.7.9",
    "proxy.py==2.4.10",
    "uvloop==0.21.0",
    "http-tunnel==0.6.11; python_version >= '3.12'",
    "http-tunnel==0.4.4; python_version < '3.12'",
)
# A minute or two on a quiet machine with two cores; this is for a busy one.
BUILD_SECONDS = 2400
FETCH_SECONDS = 600
GENTLY = ("nice", "-n", "10")

Attempt = Callable[[Sequence[str], Mapping[str, str], float], str | None]


def attempt(command: Sequence[str], environment: Mapping[str, str], seconds: float) -> str | None:
    """Run an installer, `environment` added to ours; what went wrong, or None."""
    try:
        subprocess.run(
            list(command),
            check=True,
            capture_output=True,
            text=True,
            timeout=seconds,
            env={**os.environ, **environment},
        )
    except FileNotFoundError:
        return f"{command[0]} is not here"
    except subprocess.TimeoutExpired:
        return f"{command[0]} took longer than {seconds / 60:.0f} minutes"
    except subprocess.CalledProcessError as error:
        return _reason(str(error.stderr)) or str(error)
    return None


def _reason(said: str) -> str:
    """The line of an installer's errors that says most."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("error", "e:"))]
    found = [*errors, *lines[-1:]]
    return found[0] if found else ""


@dataclass(frozen=True, slots=True)
class Debian:
    """A package of the system, told by one of its programs."""

    package: str
    program: str

    @property
    def name(self) -> str:
        return self.package

    def is_here(self) -> bool:
        return shutil.which(system_program(self.program)) is not None

    def install(self, attempt: Attempt = attempt) -> str | None:
        # RUNLEVEL=1: packages with a service do not start it.
        quiet = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        command = ["apt-get", "install", "-y", "--no-install-recommends", self.package]
        problem = attempt(command, quiet, FETCH_SECONDS)
        if problem is None:
            return None
        # A fresh machine knows no package by name.
        attempt(["apt-get", "update"], quiet, FETCH_SECONDS)
        return attempt(command, quiet, FETCH_SECONDS)


@dataclass(frozen=True, slots=True)
class Python:
    """All Python programs, in one environment."""

    name: str = "Python peers"
    packages: tuple[str, ...] = PYTHON_PEERS

    @property
    def stamp(self) -> Path:
        return PEERS / ".python"

    def is_here(self) -> bool:
        return PEERS_PYTHON.exists() and _says(self.stamp, self.packages)

    def install(self, attempt: Attempt = attempt) -> str | None:
        environment = PEERS_PYTHON.parent.parent
        pip = [str(PEERS_PYTHON), "-m", "pip", "install", "--quiet", *self.packages]
        problem = attempt(
            [sys.executable, "-m", "venv", str(environment)], {}, FETCH_SECONDS
        ) or attempt(pip, {}, FETCH_SECONDS)
        if problem is None:
            self.stamp.write_text(json.dumps(self.packages))
        return problem


@dataclass(frozen=True, slots=True)
class Go:
    """A program built from a Go module; `made` is what the build calls it."""

    name: str
    module: str
    made: str = ""
    # The module proxy may serve a program's modules and not the program itself; then why.
    note: str = ""

    def is_here(self) -> bool:
        return _is_built(self.name, self.module)

    def install(self, attempt: Attempt = attempt) -> str | None:
        BINARIES.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=PEERS) as folder:
            # One compiler at a time: a machine of two cores has other work too.
            flags = f"{os.environ.get('GOFLAGS', '')} -p=1".strip()
            command = [*GENTLY, "go", "install", self.module]
            problem = attempt(command, {"GOBIN": folder, "GOFLAGS": flags}, BUILD_SECONDS)
            if problem is None:
                (Path(folder) / (self.made or self.name)).replace(BINARIES / self.name)
                _keep(self.name, self.module)
        return f"{problem} ({self.note})" if problem and self.note else problem


@dataclass(frozen=True, slots=True)
class Cargo:
    """A program built from a crate."""

    name: str
    crate: str
    flags: tuple[str, ...] = field(default=("--locked",))

    def is_here(self) -> bool:
        return _is_built(self.name, self.crate)

    def install(self, attempt: Attempt = attempt) -> str | None:
        # fmt: off
        command = [
            *GENTLY, "cargo", "install", "-j1", "--force", "--root", str(PEERS), *self.flags,
            self.crate,
        ]
        # fmt: on
        problem = attempt(command, {}, BUILD_SECONDS)
        if problem is None:
            _keep(self.name, self.crate)
        return problem


def _stamp(name: str) -> Path:
    return BINARIES / f".{name}"


def _keep(name: str, pinned: str) -> None:
    _stamp(name).write_text(json.dumps([pinned]))


def _is_built(name: str, pinned: str) -> bool:
    return (BINARIES / name).exists() and _says(_stamp(name), [pinned])


def _says(stamp: Path, wanted: Sequence[str]) -> bool:
    return stamp.exists() and stamp.read_text() == json.dumps(wanted)


Recipe = Debian | Python | Go | Cargo

RECIPES: tuple[Recipe, ...] = (
    Debian("squid", "squid"),
    Debian("tinyproxy", "tinyproxy"),
    Debian("microsocks", "microsocks"),
    Debian("httptunnel", "hts"),
    Debian("openssh-server", "sshd"),
    Debian("openssh-client", "ssh"),
    Debian("nginx-light", "nginx"),
    Debian("iproute2", "ip"),
    Python(),
    Go("chisel", "github.com/jpillora/chisel@v1.11.5"),
    Go(
        "gost",
        "github.com/go-gost/gost/cmd/gost@v3.2.6",
        note="its module has no /v3 in its path, so Go finds no version 3 of it",
    ),
    Go(
        "frps",
        "github.com/fatedier/frp/cmd/frps@v0.65.0",
        note="its module replaces another, which go install refuses",
    ),
    Go("xray", "github.com/xtls/xray-core/main@v1.260327.0", made="main"),
    Cargo("wstunnel", "wstunnel-cli@10.5.1"),
    Cargo("penguin", "rusty-penguin@0.8.4"),
    # The versions it was locked to no longer compile.
    Cargo("rathole", "rathole@0.5.0", flags=()),
)


def install_all(recipes: Sequence[Recipe] = RECIPES) -> list[str]:
    """Install what is not here, a line each as it goes; a line for each that could not be had."""
    missing = []
    for recipe in recipes:
        if recipe.is_here():
            continue
        print(f"{recipe.name}: ", end="", flush=True)
        began = time.monotonic()
        problem = recipe.install()
        print(f"{problem or 'installed'}, {time.monotonic() - began:.0f} s", flush=True)
        if problem:
            missing.append(f"{recipe.name}: {problem}")
    return missing
