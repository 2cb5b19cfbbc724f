"""A stream that broke is told from a failure of the bench itself."""

from __future__ import annotations

import subprocess

import pytest
from bench.processes import BenchError
from bench.wan import cuts, traffic
from bench.wan.load import BROKEN, Load
from bench.wan.namespaces import Network
from bench.wan.stage import Stage
from bench.wan.traffic import Figures, Task, WrongBytesError


class Here(Network):
    """No namespace, and nothing to cut."""

    client_prefix = ()

    def cut(self, seconds: float) -> None:
        pass


class Scripted(Stage):
    """Its traffic is a script."""

    script = ""

    def command(self, load: Load) -> list[str]:
        return ["sh", "-c", self.script]


def cut_under(script: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    for name in ("START_SECONDS", "FIRST_CUT", "AFTER"):
        monkeypatch.setattr(cuts, name, 0.0)
    monkeypatch.setattr(Scripted, "script", script)
    with subprocess.Popen(["true"], text=True) as nobody:
        return cuts.cut(Scripted(Here("", "", nobody), None, None), Load("drop", 5.0))


def test_a_stream_that_breaks_under_a_cut_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cut_under(f"exit {BROKEN}", monkeypatch) == {"broken": 1.0}


def test_traffic_that_fails_by_itself_is_no_broken_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BenchError, match="drop: wrong bytes at 7"):
        cut_under("echo first; echo wrong bytes at 7 >&2; exit 1", monkeypatch)


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        ((ConnectionResetError("reset"),), BROKEN),
        ((EOFError("ended"), TimeoutError()), BROKEN),
        ((WrongBytesError("wrong bytes at 7"),), 1),
        ((ConnectionResetError("reset"), WrongBytesError("wrong bytes at 7")), 1),
    ],
)
def test_the_exit_code_says_whose_fault_it_was(
    errors: tuple[Exception, ...],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def failing(task: Task) -> Figures:
        raise ExceptionGroup("", errors)

    monkeypatch.setitem(traffic.KINDS, "page", failing)
    assert traffic.main(["page", "--entry", "direct"]) == code
    assert "page: " in capsys.readouterr().err


def test_figures_are_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def done(task: Task) -> Figures:
        return {"ms": task.seconds}

    monkeypatch.setitem(traffic.KINDS, "page", done)
    assert traffic.main(["page", "--entry", "direct", "--seconds", "2"]) == 0
    assert capsys.readouterr().out == '{"ms": 2.0}\n'
