"""What `make peers` does, with a scripted installer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from bench.programs import install
from bench.programs.install import Cargo, Debian, Go, Python, attempt, install_all


@pytest.fixture(autouse=True)
def peers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of what is built, empty."""
    monkeypatch.setattr(install, "PEERS", tmp_path)
    monkeypatch.setattr(install, "BINARIES", tmp_path / "bin")
    monkeypatch.setattr(install, "PEERS_PYTHON", tmp_path / "python")
    (tmp_path / "bin").mkdir()
    return tmp_path


class Installer:
    """Notes each command, and does `effect`; `problems` are its answers, then none."""

    def __init__(
        self, *problems: str, effect: Callable[[Mapping[str, str]], object] = lambda _: None
    ) -> None:
        self.problems = list(problems)
        self.effect = effect
        self.commands: list[str] = []

    def __call__(
        self, command: Sequence[str], environment: Mapping[str, str], seconds: float
    ) -> str | None:
        self.commands.append(" ".join(command))
        self.effect(environment)
        return self.problems.pop(0) if self.problems else None


def test_go_program_is_here_once_built_under_its_own_name(peers: Path) -> None:
    recipe = Go("xray", "example.test/core/main@v1", made="main")
    assert not recipe.is_here()
    installer = Installer(effect=lambda given: (Path(given["GOBIN"]) / "main").touch())
    assert recipe.install(installer) is None
    assert recipe.is_here()
    assert (peers / "bin" / "xray").exists()
    assert installer.commands == ["nice -n 10 go install example.test/core/main@v1"]


def test_another_version_is_not_here(peers: Path) -> None:
    installer = Installer(effect=lambda _: (peers / "bin" / "penguin").touch())
    assert Cargo("penguin", "penguin@1").install(installer) is None
    assert Cargo("penguin", "penguin@1").is_here()
    assert not Cargo("penguin", "penguin@2").is_here()


def test_failed_build_is_not_here_and_says_why() -> None:
    recipe = Go("gost", "example.test/gost@v3", note="no such version")
    assert recipe.install(Installer("forbidden")) == "forbidden (no such version)"
    assert not recipe.is_here()


def test_debian_package_is_tried_again_with_a_new_list() -> None:
    installer = Installer("unable to locate package")
    assert Debian("nothing-here", "nothing-here").install(installer) is None
    assert [command.split()[1] for command in installer.commands] == [
        "install",
        "update",
        "install",
    ]


def test_debian_program_is_looked_for_in_the_system() -> None:
    assert Debian("coreutils", "true").is_here()
    assert not Debian("nothing-here", "nothing-here").is_here()


def test_python_peers_are_here_when_all_pins_are(peers: Path) -> None:
    recipe = Python(packages=("one==1",))
    assert recipe.install(Installer(effect=lambda _: (peers / "python").touch())) is None
    assert recipe.is_here()
    assert not Python(packages=("one==2",)).is_here()


def test_install_all_goes_on_after_a_failure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cargo, "install", lambda self: f"no {self.crate}")
    missing = install_all([Debian("coreutils", "true"), Cargo("a", "a@1"), Cargo("b", "b@1")])
    assert missing == ["a: no a@1", "b: no b@1"]
    assert capsys.readouterr().out.splitlines() == ["a: no a@1, 0 s", "b: no b@1, 0 s"]


def test_attempt_tells_the_line_that_says_most() -> None:
    script = "echo 'error: no such crate' >&2; echo 'Caused by: a story' >&2; exit 1"
    assert attempt(["sh", "-c", script], {}, 5) == "error: no such crate"
    assert attempt(["sh", "-c", "echo gone >&2; exit 1"], {}, 5) == "gone"
    assert attempt(["sh", "-c", 'test "$MARK" = yes'], {"MARK": "yes"}, 5) is None


def test_attempt_without_the_installer_says_so() -> None:
    assert attempt(["no-such-installer"], {}, 5) == "no-such-installer is not here"
