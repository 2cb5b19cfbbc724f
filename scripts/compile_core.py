"""Compiles the session core with mypyc, beside a copy of the package: ``src`` stays as it is.

``python -m scripts.compile_core [FOLDER]``

FOLDER (``build/compiled`` if none is named) gets the package with an extension module beside each
module of the core: put first on PYTHONPATH, Python takes those. The sources are what they were and
run without it: see docs/decisions/007. It needs mypy, setuptools and a C compiler.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "compiled"

# What runs for every record and every stream. What runs once a session or a carrier (hello,
# handshake, attach) would only take longer to build.
CORE = (
    "datagram",
    "frame_codec",
    "frames",
    "mux_stream",
    "outgoing",
    "ranges",
    "reassembly",
    "record",
    "record_maker",
    "replay",
    "scheduler",
    "session",
    "session_carrier",
    "session_events",
    "session_state",
    "session_times",
    "stream_state",
    "stream_table",
    "streams",
    "window",
    "wire",
)

# Ten times what it takes on two slow cores.
COMPILE_SECONDS = 900

# A process of its own: setuptools reads and changes the state of the one it runs in.
_SETUP = """\
import sys
from mypyc.build import mypycify
from setuptools import setup
# What is not of the core is checked by `make types`, and need not be installed here.
options = ["--follow-imports=silent", "--ignore-missing-imports"]
modules = mypycify([*options, *sys.argv[1:]], debug_level="0")
setup(name="core", ext_modules=modules, packages=[],
      script_args=["--quiet", "build_ext", "--inplace"])
"""


def compile_core(folder: Path) -> list[Path]:
    """Put the package with a compiled core into `folder`; return the extension modules.

    `folder` is emptied first. Raises `subprocess.CalledProcessError` where it can't be compiled.
    """
    shutil.rmtree(folder, ignore_errors=True)
    no_caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src" / "underpass", folder / "underpass", ignore=no_caches)
    files = [f"underpass/protocol/{name}.py" for name in CORE]
    # The copy is what mypyc is to find, not the checkout that may be installed beside it.
    environment = os.environ | {"MYPYPATH": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(
        [sys.executable, "-c", _SETUP, *files],
        cwd=folder,
        env=environment,
        check=True,
        timeout=COMPILE_SECONDS,
    )
    shutil.rmtree(folder / "build", ignore_errors=True)
    return sorted(path for path in folder.rglob("*") if path.suffix in {".so", ".pyd"})


def main() -> None:
    """Compile, and say what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    built = compile_core(parser.parse_args().folder.resolve())
    size = sum(path.stat().st_size for path in built)
    print(f"{len(built)} extension modules, {size / 1e6:.1f} MB", file=sys.stderr)


if __name__ == "__main__":
    main()
