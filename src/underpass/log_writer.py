"""`LogWriter`: a bounded buffer of lines and the thread that writes them, batch by batch."""

from __future__ import annotations

import os
import select
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from underpass.observe import Counter, Counters

# Some ten thousand lines: seconds of a busy proxy, while a disk or a terminal hangs.
MAX_BUFFER_BYTES = 1024 * 1024

# A batch a fifth of a second: a person sees no delay, a busy proxy writes 5 times a second.
FLUSH_SECONDS = 0.2

# POSIX's least PIPE_BUF on Linux: what is not longer is never mixed with other processes' lines.
ATOMIC_BYTES = 4096

# How long the end of the program waits for a log that does not move.
CLOSE_SECONDS = 2.0

STANDARD_ERROR = 2


def _plain_notice(count: int) -> str:
    return f"{count} log lines dropped"


class LogWriter:
    """Takes lines from any thread without ever waiting; writes them to a file or standard error.

    A write that fails (disk full, the reader of a pipe gone) drops its lines and counts them; the
    next batch tries again.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        counters: Counters | None = None,
        notice: Callable[[int], str] = _plain_notice,
        descriptor: int = STANDARD_ERROR,
    ) -> None:
        """Write to `path` (appended to; `OSError` if it can't be opened), else to `descriptor`."""
        self._path = path
        # Where lines go without a file.
        self._standing = descriptor
        self._descriptor = descriptor if path is None else _open(path)
        self._counters = counters or Counters()
        self._notice = notice
        self._lines: list[str] = []
        self._size = 0
        self._missing = 0
        # A write ended within a line: the next one starts on a new one.
        self._torn = False
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._filled = threading.Event()
        self._closed = threading.Event()
        # A daemon, so that a log that hangs for ever cannot keep the process.
        self._thread = threading.Thread(target=self._run, name="underpass-log", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Add one line, without its end. Dropped and counted while the buffer is full."""
        with self._lock:
            # Characters stand for bytes here: lines are ASCII but for some users' names.
            size = self._size + len(line) + 1
            if size > MAX_BUFFER_BYTES:
                self._drop(1)
                return
            self._size = size
            self._lines.append(line)
            first = len(self._lines) == 1
        if first:
            self._filled.set()

    def reopen(self) -> None:
        """Open the file anew: after SIGHUP, for whoever moves old logs away.

        Raises `OSError` and goes on with the old file if that fails.
        """
        if self._path is None:
            return
        new = _open(self._path)
        with self._writing:
            old, self._descriptor = self._descriptor, new
            os.close(old)

    def move(self, path: Path | None) -> None:
        """Go on in the file `path`, or without one; the same file is opened anew.

        Raises `OSError` and goes on as before if that fails.
        """
        if path == self._path:
            self.reopen()
            return
        new = self._standing if path is None else _open(path)
        with self._writing:
            old, self._descriptor = self._descriptor, new
            was_file, self._path = self._path is not None, path
            if was_file:
                os.close(old)

    def close(self) -> None:
        """Write what is left and end, within `CLOSE_SECONDS`. A second call does nothing."""
        self._closed.set()
        self._filled.set()
        self._thread.join(CLOSE_SECONDS)
        if self._path is not None and not self._thread.is_alive() and self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _drop(self, count: int) -> None:
        """Count lost lines; under `_lock`."""
        self._missing += count
        self._counters.add(Counter.LOG_LINES_DROPPED, count)

    def _run(self) -> None:
        while not self._closed.is_set():
            self._filled.wait()
            self._closed.wait(FLUSH_SECONDS)
            self._filled.clear()
            self._flush()
        self._flush(last=True)

    def _flush(self, *, last: bool = False) -> None:
        with self._lock:
            lines, self._lines, self._size = self._lines, [], 0
            missing = self._missing
        if not lines and not (last and missing):
            return
        if missing:
            lines.insert(0, self._notice(missing))
        with self._writing:
            written = self._write_lines(lines)
        with self._lock:
            if missing and written:
                self._missing -= missing
            # The notice is not a line that somebody will miss.
            lost = len(lines) - max(written, 1 if missing else 0)
            if lost:
                self._drop(lost)

    def _write_lines(self, lines: list[str]) -> int:
        """Write `lines`; return how many went out whole before a write failed."""
        written = 0
        for piece in _pieces(lines, self._piece_bytes()):
            data = b"\n" + piece if self._torn else piece
            sent = self._write_piece(data)
            if sent:
                written += data.count(b"\n", 0, sent) - self._torn
                self._torn = data[sent - 1 : sent] != b"\n"
            if sent < len(data):
                break
        return written

    def _piece_bytes(self) -> int:
        try:
            regular = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        except OSError:
            regular = False
        return MAX_BUFFER_BYTES if regular else ATOMIC_BYTES

    def _write_piece(self, data: bytes) -> int:
        """Write `data`; return how much of it went out before a write failed."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
            except BlockingIOError:
                # Somebody made the terminal or pipe that we share non-blocking.
                if not self._wait_writable():
                    break
            except OSError:
                break
        return len(data) - len(view)

    def _wait_writable(self) -> bool:
        """Wait until the descriptor takes bytes; False once the writer is to close."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        while not poll.poll(FLUSH_SECONDS * 1000):
            if self._closed.is_set():
                return False
        return True


def _pieces(lines: list[str], limit: int) -> Iterator[bytes]:
    """Join lines into pieces of at most `limit` bytes; a longer line is a piece of its own."""
    waiting: list[bytes] = []
    size = 0
    for line in lines:
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        if waiting and size + len(data) > limit:
            yield b"".join(waiting)
            waiting, size = [], 0
        waiting.append(data)
        size += len(data)
    yield b"".join(waiting)


def _open(path: Path) -> int:
    # Not for everybody's eyes: the log says who went where.
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
