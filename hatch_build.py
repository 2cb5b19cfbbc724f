"""Puts a compiled session core into the wheel, where this machine can compile one.

UNDERPASS_COMPILE=0 asks for the pure wheel, UNDERPASS_COMPILE=1 for the compiled one or an error.
Without it a wheel is compiled where there is a C compiler and what it needs, and else is the pure
one, which does the same, more slowly (docs/decisions/007): a line says so.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_ASKED = os.environ.get("UNDERPASS_COMPILE", "")


class CompileHook(BuildHookInterface[Any]):
    """Compiles by `scripts/compile_core.py`, in a process of its own."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the extension modules, which Python takes before the sources beside them."""
        # An editable install is for changing the sources: they must be what runs.
        if version == "editable" or _ASKED == "0":
            return
        missing = _what_is_missing()
        if missing and _ASKED != "1":
            self._say_pure(missing)
            return
        self._folder = tempfile.TemporaryDirectory(prefix="underpass-core-")
        folder = Path(self._folder.name) / "compiled"
        command = [sys.executable, "-m", "scripts.compile_core", str(folder)]
        done = subprocess.run(
            command, cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if done.returncode:
            if _ASKED == "1":
                raise RuntimeError(f"the core can't be compiled:\n{done.stdout}")
            self._say_pure(done.stdout.strip().rpartition("\n")[2])
            return
        built = [path for path in folder.rglob("*") if path.suffix in {".so", ".pyd"}]
        build_data["force_include"] |= {str(p): str(p.relative_to(folder)) for p in built}
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def _say_pure(self, why: str) -> None:
        self.app.display_warning(f"underpass: pure, with a slower session core: {why}")

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Drop what was compiled: the wheel has it."""
        if hasattr(self, "_folder"):
            self._folder.cleanup()

    def dependencies(self) -> list[str]:
        """What compiling takes: cryptography for the types that the core is compiled with."""
        if _ASKED == "0" or (_ASKED != "1" and _what_is_missing()):
            return []
        return ["mypy>=1.18", "setuptools>=65", "cryptography>=45"]


def _what_is_missing() -> str:
    """What this machine lacks to compile, for people; empty where there is all."""
    if platform.python_implementation() != "CPython":
        return "only CPython runs a compiled one"
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cl")
    if shutil.which(compiler[0]) is None:
        return f"there is no C compiler ({compiler[0]})"
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        return "Python's own headers are not installed (Python.h)"
    return ""
