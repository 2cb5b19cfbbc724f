"""`underpass config check`."""

from __future__ import annotations

from pathlib import Path

import pytest

from underpass import cli


def test_config_check_prints_the_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.toml"
    file.write_text('[proxy]\nvia = "http://me:hidden@p:1"\n')
    file.chmod(0o600)
    assert cli.main(["config", "check", str(file)]) == 0
    out = capsys.readouterr().out
    assert 'via = "http://me:***@p:1"' in out
    assert "head_timeout = 10.0" in out
    assert "hidden" not in out


def test_config_check_refuses_a_wrong_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[proxy.limits]\nhead_timeout = 'x'\n")
    assert cli.main(["config", "check", str(file)]) == 2
    assert f"underpass: {file}: proxy.limits.head_timeout: expected" in capsys.readouterr().err


def test_config_check_prints_the_tables_that_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[server]\ntls_self = true\n")
    assert cli.main(["config", "check", str(file)]) == 0
    out = capsys.readouterr().out
    assert "tls_self = true" in out
    assert "[proxy]" not in out
