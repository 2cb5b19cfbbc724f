"""What a run has measured: said as it comes, and written in the layout that the page reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench import page, report
from bench.chapters import proxy
from bench.markdown import write_page
from bench.options import parsed
from bench.report import Report, machine


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that is written to instead of the repository's."""
    for module in (page, report):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(page, "PAGE", tmp_path / "performance.md")
    return tmp_path


def new_report(*arguments: str) -> Report:
    options = parsed("bench.proxy", None, [], arguments)
    return Report(proxy.CHAPTER, options, {"squid": {"version": "5.7", "remark": "one worker"}})


def test_a_whole_run_is_written_with_its_page_and_pictures(results: Path) -> None:
    kept = new_report()
    kept.add("squid", "gets", {"gets": 12_000.0})
    kept.add("squid", "gets", {"gets": 13_000.0})
    assert kept.finish(1.5) == 0
    written = json.loads((results / "proxy.json").read_text())
    assert written["values"] == {"squid": {"gets": [12_000.0, 13_000.0]}}
    assert written["programs"]["squid"]["version"] == "5.7"
    assert written["machine"] == machine()
    assert (results / "performance.md").read_text() == write_page({"proxy": written})
    assert "12,500" in (results / "proxy-gets.svg").read_text()


def test_a_part_of_a_run_only_prints(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = new_report("--quick")
    kept.add("squid", "gets", {"gets": 12_000.0})
    assert kept.finish(0.4) == 0
    assert list(results.iterdir()) == []
    assert "12,000 requests/s" in capsys.readouterr().out


def test_a_failure_is_told_and_ends_with_one(capsys: pytest.CaptureFixture[str]) -> None:
    kept = new_report("--no-write")
    kept.fail("squid", "gets", RuntimeError("closed before the answer"))
    assert kept.finish(1.5) == 1
    assert kept.failures == ["squid, gets: closed before the answer"]
    assert "FAILED: closed before the answer" in capsys.readouterr().out


def test_a_figure_that_the_chapter_does_not_know_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        new_report().add("squid", "gets", {"no-such-figure": 1.0})


def test_a_picture_of_what_is_not_measured_any_more_goes(results: Path) -> None:
    (results / "proxy-connects.svg").write_text("of the last run")
    new_report().finish(1.5)
    assert not (results / "proxy-connects.svg").exists()
