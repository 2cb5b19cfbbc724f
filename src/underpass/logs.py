"""Lines of the log: formatted on the loop in microseconds, written by a thread of its own.

A line never holds anything but one line: whatever a peer may have chosen (a user, an address, a
reason) is escaped, so that it can neither end the line, nor look like another column, nor steer a
terminal, nor turn text around. The loop never waits for the disk: lines wait in a bounded buffer,
and when that is full they are dropped and counted. Nothing is dropped silently: as soon as writing
works again, a line says how many are missing.
"""

from __future__ import annotations

import contextlib
import logging
import time
import unicodedata
from collections.abc import Callable, Iterator
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import Literal

from underpass.errors import ConfigurationError
from underpass.log_writer import LogWriter
from underpass.observe import AccessRecord, Counters

# A diagnostic with a traceback fits; a peer's text repeated in one cannot fill the log.
MAX_MESSAGE = 16 * 1024

# What an access line holds when no value needs escaping: this many spaces before the reason.
_COLUMNS = 11

# Right-to-left letters and every explicit bidi control: they would reorder what stands beside them.
_TURNS_TEXT = {"R", "AL", "AN", "RLE", "RLO", "RLI", "LRE", "LRO", "LRI", "FSI", "PDF", "PDI"}

# What a sentence for people may hold.
_PROSE = " '\"`"

Format = Literal["text", "json"]


def escape(text: str, *, kept: str = "") -> str:
    r"""Make `text` safe inside one line: ``\xNN``, ``\uNNNN`` or ``\UNNNNNNNN`` for what is not.

    Not safe are control and format characters, separators, surrogates, bidi and right-to-left
    characters, spaces, quotes and backslashes, but for those in `kept`.
    """
    return "".join(c if c in kept or _is_safe(c) else _escaped(c) for c in text)


def _is_safe(character: str) -> bool:
    return (
        character.isprintable()
        and character not in " \"'\\`"
        and (character.isascii() or unicodedata.bidirectional(character) not in _TURNS_TEXT)
    )


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def quoted(text: str) -> str:
    """`text` as a JSON string in printable ASCII."""
    # DEL is the one character that JSON leaves alone and a terminal does not.
    return encode_basestring_ascii(text).replace("\x7f", "\\u007f")


class Timestamps:
    """RFC 3339 times in UTC with milliseconds. The part up to the second is made once a second."""

    __slots__ = ("_prefix", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._prefix = ""

    def at(self, now: float) -> str:
        """The time `now` seconds after the epoch."""
        second = int(now)
        if second != self._second:
            self._second = second
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._prefix}.{int((now - second) * 1000):03d}Z"


def _size(count: int) -> str:
    """A number of bytes for people: ``512B``, ``1.2kB``, ``30.5MB``."""
    if count < 1000:
        return f"{count}B"
    size = count / 1000
    for unit in ("kB", "MB", "GB"):
        if size < 999.95:
            return f"{size:.1f}{unit}"
        size /= 1000
    return f"{size:.1f}TB"


def access_text(record: AccessRecord, at: str) -> str:
    """An access line for people: time, method, address, status, user, client, bytes, reason."""
    head = (
        f"{at} {record.method or '-'} {record.address or '-'} {record.status} "
        f"{record.user or '-'} {record.client or '-'} "
        f"{_size(record.sent)} up {_size(record.received)} down {record.seconds:.3f}s "
    )
    mark = f" [{record.request_id}]" if record.request_id else ""
    line = head + record.reason + mark
    # One look at the whole line is cheaper than one at each value.
    if line.isascii() and line.isprintable() and head.count(" ") == _COLUMNS and _unquoted(line):
        return line
    method, address, user, client = (
        escape(value) or "-"
        for value in (record.method, record.address, record.user, record.client)
    )
    return (
        f"{at} {method} {address} {record.status} {user} {client} "
        f"{_size(record.sent)} up {_size(record.received)} down {record.seconds:.3f}s "
        f"{escape(record.reason + mark, kept=' ')}"
    )


def _unquoted(line: str) -> bool:
    return "\\" not in line and '"' not in line and "'" not in line and "`" not in line


def access_json(record: AccessRecord, at: str) -> str:
    """An access line for machines; docs/configuration.md names the keys."""
    return (
        f'{{"time":"{at}","kind":"access","method":{quoted(record.method)},'
        f'"address":{quoted(record.address)},"status":{record.status:d},'
        f'"user":{quoted(record.user)},"client":{quoted(record.client)},'
        f'"sent":{record.sent:d},"received":{record.received:d},'
        f'"seconds":{record.seconds:.6f},"reason":{quoted(record.reason)},'
        f'"request_id":{quoted(record.request_id)}}}'
    )


def diagnostic_text(level: str, logger: str, message: str, at: str) -> str:
    """A diagnostic as a line for people, without its end; what came from outside is escaped."""
    # A sentence quotes what is wrong, and no column comes after it.
    return f"{at} {level} {escape(logger)}: {escape(message, kept=_PROSE)}"


def diagnostic_json(level: str, logger: str, message: str, at: str) -> str:
    """The same as a JSON object on one line."""
    return (
        f'{{"time":"{at}","kind":"diagnostic","level":{quoted(level.lower())},'
        f'"logger":{quoted(logger)},"message":{quoted(message)}}}'
    )


class AccessLog:
    """The sink of an `Observer`: one line a record. Call it on one thread."""

    __slots__ = ("_clock", "_format", "_timestamps", "_write")

    def __init__(
        self, writer: LogWriter, form: Format, clock: Callable[[], float] = time.time
    ) -> None:
        self._write = writer.write
        self._format = access_json if form == "json" else access_text
        self._timestamps = Timestamps()
        self._clock = clock

    def __call__(self, record: AccessRecord) -> None:
        self._write(self._format(record, self._timestamps.at(self._clock())))


class DiagnosticHandler(logging.Handler):
    """Sends what the `logging` module is told through the same writer, a line a record."""

    def __init__(self, writer: LogWriter, form: Format) -> None:
        super().__init__()
        self._writer = writer
        self._format = diagnostic_json if form == "json" else diagnostic_text
        self._timestamps = Timestamps()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = self.format(record)
        except (TypeError, ValueError, KeyError) as error:
            # A call whose arguments do not fit its text: a bug, but not one worth a crash.
            message = f"{record.msg!r} could not be formatted: {error}"
        if len(message) > MAX_MESSAGE:
            message = f"{message[:MAX_MESSAGE]} … ({len(message)} characters)"
        at = self._timestamps.at(record.created)
        self._writer.write(self._format(record.levelname, record.name, message, at))


def dropped_notice(form: Format, clock: Callable[[], float] = time.time) -> Callable[[int], str]:
    """Make the line that tells how many lines are missing before it."""
    make = diagnostic_json if form == "json" else diagnostic_text

    def notice(count: int) -> str:
        message = f"{count} log lines dropped: the log could not be written fast enough"
        return make("WARNING", __name__, message, Timestamps().at(clock()))

    return notice


@contextlib.contextmanager
def logging_to(form: Format, path: Path | None, counters: Counters) -> Iterator[LogWriter]:
    """Open the log and send the `logging` module's records (INFO and up) there, until the end.

    Raises `ConfigurationError` where `path` can't be opened.
    """
    try:
        writer = LogWriter(path, counters=counters, notice=dropped_notice(form))
    except OSError as error:
        raise ConfigurationError(f"log_file: {path}: {error.strerror}") from None
    handler = DiagnosticHandler(writer, form)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield writer
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        writer.close()
