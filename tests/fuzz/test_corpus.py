"""Every input that once failed, and every seed, on every run; and a short run of the fuzzer."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzz import fuzz_http
from tests.fuzz.fuzz_http import CORPUS, TARGETS, Campaign, kept, main
from tests.fuzz.target import Finding, Target

# Each way of cutting an input into pieces comes up in so many runs of it.
RUNS = 8
BATCHES = 60


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_kept_inputs_and_seeds_pass(target: Target) -> None:
    for data in (*target.seeds, *kept(target)):
        for seed in range(RUNS):
            target.run(data, random.Random(seed))


def test_every_folder_of_the_corpus_has_its_target() -> None:
    assert {path.name for path in CORPUS.iterdir() if path.is_dir()} <= TARGETS.keys()


@pytest.mark.slow
def test_a_short_campaign_finds_nothing() -> None:
    campaign = Campaign(list(TARGETS.values()), seed=9112)
    for _ in range(BATCHES):
        campaign.batch()
    assert str(campaign) == f"{BATCHES * fuzz_http.BATCH} passed, 0 failed"


def _fails(data: bytes, rng: random.Random) -> None:
    if b"x" in data:
        raise Finding("an x")


def test_a_failure_is_told_kept_and_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fuzz_http, "CORPUS", tmp_path)
    monkeypatch.setattr(fuzz_http, "TARGETS", {"toy": Target("toy", (b"ax", b"ab"), _fails)})
    assert main(["--seconds", "0.02", "--seed", "7"]) == 1
    said = capsys.readouterr().out
    assert "toy failed, seed 7, input kept as" in said
    assert said.rstrip().endswith(" failed")
    found = sorted(path.read_bytes() for path in (tmp_path / "toy").iterdir())
    assert 0 < len(found) <= fuzz_http.TOLD
    assert all(b"x" in data for data in found)
    again = Campaign([Target("toy", (b"ax", b"ab"), _fails)], seed=7)
    again.batch()
    assert again.failed["toy"] > 0
