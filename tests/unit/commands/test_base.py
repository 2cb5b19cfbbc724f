"""What several commands check."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.commands.conftest import Started
from underpass import cli
from underpass.commands.base import own_part


@pytest.mark.parametrize("argv", [["proxy", "--config"], ["config", "check"]])
def test_a_certificate_that_cannot_be_used_stops_the_start(
    started: Started, capsys: pytest.CaptureFixture[str], tmp_path: Path, argv: list[str]
) -> None:
    file = tmp_path / "a.toml"
    file.write_text('[proxy]\ntls_cert = "a.pem"\ntls_key = "a.key"\nworkers = 2\n')
    assert cli.main([*argv, str(file)]) == 2
    error = capsys.readouterr().err
    assert (
        error
        == f"underpass: tls_cert: {tmp_path}/a.pem: cannot be read: No such file or directory\n"
    )


def test_only_what_stands_before_the_dashes_of_run_is_ours() -> None:
    assert own_part(["run", "a", "--", "-x"]) == ["run", "a"]
    assert own_part(["user", "add", "--", "-x"]) == ["user", "add", "--", "-x"]
