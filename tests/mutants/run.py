"""``make mutants``: seeds each defect into a copy of the source, and sees whether the tests tell.

A mutant is caught by a test that fails, or by its time limit. Its module's own tests are asked
first, then those around, then the simulation: most are caught within two seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.mutant import ROOT, Mutant, all_mutants

RESULTS = ROOT / "bench" / "results"
# What of a checkout the tests look at.
COPIED = ("src", "tests", "docs", "scripts", "pyproject.toml")
# The share that must be caught.
LEAST = 0.95
# A machine may have other work: two at a time, and behind everything else.
PROCESSES = 2
NICE = 10
# For one test; a mutant that waits for what never comes is caught by it.
TEST_SECONDS = 60
# For one stage of one mutant, which takes half a minute at most on a machine with no other work.
STAGE_SECONDS = 600
# A mutant without some bound must not take the machine with it.
MEMORY_BYTES = 4 * 1024**3

# Without the parameters, which may hold any characters.
_FAILED = re.compile(r"^(?:FAILED|ERROR) ([^\s\[]+)", re.MULTILINE)
_PROTOCOL = "src/underpass/protocol/"
_SESSION = (
    "test_session.py",
    "test_session_attach.py",
    "test_session_end.py",
    "test_session_loss.py",
    "test_streams.py",
    "test_streams_broken.py",
    "test_streams_credit.py",
)
_SIMULATION = "tests/simulation/test_simulation.py::test_sessions_keep_their_promises"
# Blocks of ten seeds each.
_BLOCKS = range(0, 80, 10)
# Beside a module's own tests, where those of another look at it too.
_BESIDE = {
    "src/underpass/access.py": ("tests/unit/outbound/test_guard.py",),
    "src/underpass/server/users.py": ("tests/unit/server/test_user_store.py",),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant: caught by a test, or None; or `broken`: it does not even load."""

    mutant: Mutant
    caught_by: str | None
    seconds: float
    broken: str = ""

    def __str__(self) -> str:
        if self.caught_by is not None:
            return f"caught    {self.mutant.name}  by {self.caught_by}"
        return f"{'BROKEN  ' if self.broken else 'SURVIVED'}  {self.mutant.name}  {self.broken}"


def plan(place: str) -> list[list[str]]:
    """The tests to ask about a defect in the file `place`, in stages."""
    folder, _, name = place.removeprefix("src/underpass/").rpartition("/")
    own = "/".join(part for part in ("tests/unit", folder, f"test_{name}") if part)
    if not place.startswith(_PROTOCOL):
        return [[own, *_BESIDE.get(place, ())]]
    near = [f"tests/unit/protocol/{one}" for one in _SESSION]
    first = list(dict.fromkeys([own, *near]))
    around = [f"tests/unit/protocol/{path.name}" for path in _unit_tests()]
    rest = [one for one in around if one not in first]
    return [first, [*rest, "tests/attacks"], [f"{_SIMULATION}[{block}]" for block in _BLOCKS]]


def _unit_tests() -> list[Path]:
    return sorted((ROOT / "tests/unit/protocol").glob("test_*.py"))


class Copy:
    """A copy of the checkout, to be broken."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name)
            else:
                shutil.copy2(source, folder / name)

    @contextmanager
    def broken(self, mutant: Mutant) -> Iterator[None]:
        """With the defect in it."""
        path = self._folder / mutant.place
        source = path.read_text(encoding="utf-8")
        path.write_text(mutant.applied(source), encoding="utf-8")
        try:
            yield
        finally:
            path.write_text(source, encoding="utf-8")

    def ask(self, tests: list[str]) -> tuple[int | None, str]:
        """Run tests until the first that fails; return pytest's status, None for no end, and text.

        Compiled files are not written: one that is as old as the source it belongs to, to the
        second, would hide the next change.
        """
        own = {"PYTHONPATH": str(self._folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
        options = ["-x", "-q", "--tb=no", "-p", "no:cacheprovider", "-o", f"timeout={TEST_SECONDS}"]
        with subprocess.Popen(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=self._folder,
            env=os.environ | own,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            resource.prlimit(process.pid, resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
            try:
                text, _ = process.communicate(timeout=STAGE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                return None, ""
        return process.returncode, text


def judge(copy: Copy, mutant: Mutant) -> Verdict:
    """See whether the tests tell."""
    began = time.monotonic()
    caught_by: str | None = None
    with copy.broken(mutant):
        for tests in plan(mutant.place):
            status, text = copy.ask(tests)
            if status not in (None, 0, 1):
                last = text.strip().rpartition("\n")[2]
                return Verdict(mutant, None, time.monotonic() - began, f"pytest: {last}")
            if status != 0:
                found = _FAILED.search(text)
                caught_by = found[1] if found else "its time limit"
                break
    return Verdict(mutant, caught_by, time.monotonic() - began)


def check_unbroken(copy: Copy, mutants: list[Mutant]) -> None:
    """A suite that fails anyway would catch everything. Raises `SystemExit`."""
    stages = [stage for one in mutants for stage in plan(one.place)]
    tests = sorted({test for stage in stages for test in stage if "::" not in test})
    status, text = copy.ask(tests)
    if status != 0:
        raise SystemExit(f"the tests fail without any defect:\n{text}")
    if copy.ask([f"{_SIMULATION}[{block}]" for block in _BLOCKS])[0] != 0:
        raise SystemExit("the simulation fails without any defect")


def campaign(mutants: list[Mutant]) -> list[Verdict]:
    """Judge all, a few at a time, and tell how each went."""
    verdicts: list[Verdict] = []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(PROCESSES) as pool:
        copies: queue.Queue[Copy] = queue.Queue()
        for number in range(PROCESSES):
            copies.put(Copy(_made(Path(folder) / str(number))))
        first = copies.get()
        check_unbroken(first, mutants)
        copies.put(first)

        def one(mutant: Mutant) -> Verdict:
            copy = copies.get()
            try:
                return judge(copy, mutant)
            finally:
                copies.put(copy)

        for done in as_completed([pool.submit(one, mutant) for mutant in mutants]):
            verdicts.append(done.result())
            print(f"{len(verdicts):4} of {len(mutants)}  {verdicts[-1]}", flush=True)
    return sorted(verdicts, key=lambda verdict: verdict.mutant.name)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def write(verdicts: list[Verdict], seconds: float, folder: Path = RESULTS) -> str:
    """Write the figures for programs and for people; return the line."""
    caught = {one.mutant.name: one.caught_by for one in verdicts if one.caught_by is not None}
    survived = [one.mutant.name for one in verdicts if one.caught_by is None]
    command = ["git", "rev-parse", "--short", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    told = {
        "commit": found.stdout.strip() or "unknown",
        "mutants": len(verdicts),
        "caught": len(caught),
        "share": round(len(caught) / len(verdicts), 4),
        "seconds": round(seconds),
        "survived": survived,
        "caught_by": caught,
    }
    line = (
        f"{len(caught)} of {len(verdicts)} seeded defects caught ({told['share']:.1%}) in"
        f" {seconds:.0f} s, commit {told['commit']}; survived: {', '.join(survived) or 'none'}"
    )
    (folder / "mutants.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    (folder / "mutants.txt").write_text(line + "\n", encoding="utf-8")
    return line


def main() -> int:
    """Run what the command line asks for; 1 if too many survive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only these, and nothing is written down")
    names = set(parser.parse_args().names)
    mutants = [one for one in all_mutants() if not names or one.name in names]
    if not mutants or len(names) > len(mutants):
        parser.error("no such mutant")
    os.nice(NICE)
    began = time.monotonic()
    verdicts = campaign(mutants)
    if not names:
        print(write(verdicts, time.monotonic() - began))
    for verdict in verdicts:
        if verdict.caught_by is None:
            print(f"{verdict}: {verdict.mutant.why}")
    passed = sum(verdict.caught_by is not None for verdict in verdicts)
    print(f"{passed} passed, {len(verdicts) - passed} failed")
    return 0 if passed >= LEAST * len(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
