"""Lines of the log: their form, and that nothing gets out of its place in one."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import re
import timeit
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.errors import ConfigurationError
from underpass.log_writer import LogWriter
from underpass.logs import (
    MAX_MESSAGE,
    AccessLog,
    DiagnosticHandler,
    Format,
    Timestamps,
    access_json,
    access_text,
    diagnostic_json,
    diagnostic_text,
    dropped_notice,
    escape,
    logging_to,
)
from underpass.observe import AccessRecord, Counter, Counters

AT = "2026-11-24T02:00:00.123Z"
RECORD = AccessRecord(
    "alice", "127.0.0.1", "CONNECT", "example.com:443", 200, 1234, 30_500, 3.204, "ok"
)
NASTY = [
    "a\nb",
    "a\r\nb",
    "\x1b[31mred",
    "\x7f",
    "\x85next",
    "\x9b31m",
    "\u2028sep",
    "\u202eevil",
    "\u2066isolate",
    "\u200fmark",
    "\u200b",
    "\ufeff",
    "\u05d0\u05d1",
    "\ud800",
    "\x00",
    'quo"te',
    "quo'te",
    "back\\slash",
    "ti`ck",
    "\U000e0001tag",
]


def with_text(text: str) -> AccessRecord:
    return dataclasses.replace(
        RECORD, user=text, client=text, method=text, address=text, reason=text
    )


def test_access_text_reads_as_documented() -> None:
    assert access_text(RECORD, AT) == (
        f"{AT} CONNECT example.com:443 200 alice 127.0.0.1 1.2kB up 30.5kB down 3.204s ok"
    )


def test_access_text_shows_a_dash_for_what_is_not_known() -> None:
    record = dataclasses.replace(with_text(""), status=0, sent=0, received=0, seconds=0.0)
    assert access_text(record, AT) == f"{AT} - - 0 - - 0B up 0B down 0.000s "


def test_access_text_lets_the_reason_have_spaces_and_nothing_else() -> None:
    record = dataclasses.replace(RECORD, user="a b", reason="connection refused: 10.0.0.1")
    line = access_text(record, AT)
    assert " a\\x20b " in line
    assert line.endswith(" connection refused: 10.0.0.1")


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0B"),
        (999, "999B"),
        (1000, "1.0kB"),
        (999_949, "999.9kB"),
        (999_950, "1.0MB"),
        (5_300_000_000, "5.3GB"),
        (2**63 - 1, "9223372.0TB"),
    ],
)
def test_sizes_are_shown_for_people(count: int, shown: str) -> None:
    assert f" {shown} up " in access_text(dataclasses.replace(RECORD, sent=count), AT)


def test_access_json_holds_exact_values() -> None:
    record = dataclasses.replace(RECORD, received=2**63 - 1)
    assert json.loads(access_json(record, AT)) == {
        "time": AT,
        "kind": "access",
        "method": "CONNECT",
        "address": "example.com:443",
        "status": 200,
        "user": "alice",
        "client": "127.0.0.1",
        "sent": 1234,
        "received": 2**63 - 1,
        "seconds": 3.204,
        "reason": "ok",
        "request_id": "",
    }


def test_a_refusal_can_be_found_by_what_its_client_was_told() -> None:
    record = dataclasses.replace(RECORD, reason="bad target", request_id="1a2b3c4d")
    assert access_text(record, AT).endswith("3.204s bad target [1a2b3c4d]")
    assert json.loads(access_json(record, AT))["request_id"] == "1a2b3c4d"
    # Escaped as everything else is.
    record = dataclasses.replace(record, reason="a\nb", request_id="\x1b[")
    assert access_text(record, AT).endswith(r"a\x0ab [\x1b[]")


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_text_lines_hold_nothing_dangerous(text: str) -> None:
    for line in (
        access_text(with_text(text), AT),
        diagnostic_text("INFO", text, "a sentence", AT),
    ):
        assert line.isprintable()
        assert text not in line
        assert not re.search("[\"'`\u05d0]", line)


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_diagnostic_text_is_one_line_that_keeps_the_quotes_of_a_sentence(text: str) -> None:
    line = diagnostic_text("INFO", "underpass", f"{text} isn't `it`", AT)
    assert line.isprintable()
    assert line.endswith(" isn't `it`")
    assert (text in line) == (text in {'quo"te', "quo'te", "ti`ck"})


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_json_lines_are_printable_ascii_and_read_back(text: str) -> None:
    line = access_json(with_text(text), AT)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["address"] == text
    diagnostic = diagnostic_json("INFO", "underpass", text, AT)
    assert diagnostic.isascii()
    assert diagnostic.isprintable()
    assert json.loads(diagnostic)["message"] == text


@given(st.text())
def test_any_text_stays_in_its_column(text: str) -> None:
    record = dataclasses.replace(with_text(text or "x"), reason="ok")
    line = access_text(record, AT)
    assert line.isprintable()
    assert line.count(" ") == access_text(RECORD, AT).count(" ")


@given(st.text())
def test_escape_can_be_read_back(text: str) -> None:
    escaped = escape(text)
    pattern = r"\\x([0-9a-f]{2})|\\u([0-9a-f]{4})|\\U([0-9a-f]{8})"
    back = re.sub(pattern, lambda m: chr(int(m[1] or m[2] or m[3], 16)), escaped)
    assert back == text


def test_letters_of_people_stay_readable() -> None:
    assert escape("Zoë") == "Zoë"


def test_timestamps_follow_the_clock_back_and_forth() -> None:
    stamps = Timestamps()
    assert stamps.at(1795485600.1239) == "2026-11-24T02:00:00.123Z"
    assert stamps.at(1795485600.999999) == "2026-11-24T02:00:00.999Z"
    assert stamps.at(1795485601.0) == "2026-11-24T02:00:01.000Z"
    assert stamps.at(0.5) == "1970-01-01T00:00:00.500Z"


def test_access_lines_are_cheap() -> None:
    best = min(timeit.repeat(lambda: access_text(RECORD, AT), number=500, repeat=20)) / 500
    # The aim is 6 µs; the rest is for coverage and a busy machine.
    assert best < 100e-6


@pytest.mark.parametrize(("form", "make"), [("text", access_text), ("json", access_json)])
def test_access_log_writes_one_line_a_record(tmp_path: Path, form: Format, make: object) -> None:
    path = tmp_path / "log"
    writer = LogWriter(path)
    log = AccessLog(writer, form, clock=lambda: 1795485600.1235)
    log(RECORD)
    log(RECORD)
    writer.close()
    assert callable(make)
    assert path.read_text() == f"{make(RECORD, AT)}\n" * 2


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def logger() -> logging.Logger:
    return logging.getLogger("underpass.test")


def test_diagnostics_go_to_the_same_log(path: Path, logger: logging.Logger) -> None:
    with logging_to("text", path, Counters()):
        logger.info("listening on %s", "127.0.0.1:1\nforged")
        logger.debug("not seen")
    logger.warning("after the end")
    lines = path.read_text().splitlines()
    assert len(lines) == 1
    assert lines[0].endswith("INFO underpass.test: listening on 127.0.0.1:1\\x0aforged")


def test_diagnostics_in_json_keep_the_traceback_in_one_line(
    path: Path, logger: logging.Logger
) -> None:
    with logging_to("json", path, Counters()):
        try:
            raise RuntimeError("broken")
        except RuntimeError:
            logger.exception("it failed")
    (line,) = path.read_text().splitlines()
    read = json.loads(line)
    assert (read["kind"], read["level"], read["logger"]) == (
        "diagnostic",
        "error",
        "underpass.test",
    )
    assert "RuntimeError: broken" in read["message"]


def test_long_diagnostics_are_cut(path: Path, logger: logging.Logger) -> None:
    with logging_to("text", path, Counters()):
        logger.info("x" * 1_000_000)
    text = path.read_text()
    assert len(text) < MAX_MESSAGE + 200
    assert text.endswith(" … (1000000 characters)\n")


def test_a_diagnostic_that_does_not_fit_its_arguments_is_still_a_line(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "log")
    record = logging.LogRecord("underpass", logging.INFO, "", 0, "%d of them", ("many",), None)
    DiagnosticHandler(writer, "text").emit(record)
    writer.close()
    assert "could not be formatted" in (tmp_path / "log").read_text()


def test_a_log_file_that_cannot_be_opened_is_a_configuration_error(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigurationError, match=r"log_file: .*No such file"),
        logging_to("text", tmp_path / "no" / "log", Counters()),
    ):
        pass


def test_dropped_notice_is_a_line_of_the_form() -> None:
    assert dropped_notice("text", lambda: 1795485600.1235)(7).startswith(
        f"{AT} WARNING underpass.logs: 7 log lines dropped"
    )
    assert json.loads(dropped_notice("json")(7))["level"] == "warning"


def test_standard_error_is_the_default(capfd: pytest.CaptureFixture[str]) -> None:
    with logging_to("text", None, Counters()) as writer:
        writer.write("hello")
    assert capfd.readouterr().err == "hello\n"


def test_counters_of_the_log_are_the_ones_given() -> None:
    counters = Counters()
    reading, writing = os.pipe()
    os.close(reading)
    writer = LogWriter(counters=counters, descriptor=writing)
    writer.write("lost")
    writer.close()
    os.close(writing)
    assert counters.value(Counter.LOG_LINES_DROPPED) == 1
