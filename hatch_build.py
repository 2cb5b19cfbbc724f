"""Puts a compiled session core into the wheel where UNDERPASS_COMPILE=1 asks for it.

Without it the wheel is pure: nothing is compiled, and no compiler is needed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompileHook(BuildHookInterface[Any]):
    """Compiles by `scripts/compile_core.py`, in a process of its own."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the extension modules, which Python takes before the sources beside them."""
        # An editable install is for changing the sources: they must be what runs.
        if version == "editable" or not _is_asked():
            return
        self._folder = tempfile.TemporaryDirectory(prefix="underpass-core-")
        folder = Path(self._folder.name) / "compiled"
        command = [sys.executable, "-m", "scripts.compile_core", str(folder)]
        subprocess.run(command, cwd=self.root, check=True)
        built = [path for path in folder.rglob("*") if path.suffix in {".so", ".pyd"}]
        build_data["force_include"] |= {str(p): str(p.relative_to(folder)) for p in built}
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Drop what was compiled: the wheel has it."""
        if hasattr(self, "_folder"):
            self._folder.cleanup()

    def dependencies(self) -> list[str]:
        """What compiling takes: cryptography for the types that the core is compiled with."""
        if not _is_asked():
            return []
        return ["mypy>=1.18", "setuptools>=65", "cryptography>=45"]


def _is_asked() -> bool:
    return os.environ.get("UNDERPASS_COMPILE") == "1"
