"""git's own HTTP server, `git http-backend`, as a page of the test's origin (RFC 3875)."""

from __future__ import annotations

import asyncio
import gzip
import os
import subprocess
from pathlib import Path

from tests.origins import Handler, Visit


def git_backend(git: Path, root: Path) -> Handler:
    """Serve the repositories below `root`; pushes are accepted."""

    async def serve(visit: Visit) -> None:
        body = await visit.body()
        if visit.fields.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": visit.fields.get("git-protocol", ""),
            "REQUEST_METHOD": visit.method,
            "PATH_INFO": visit.path.removeprefix("/git"),
            "QUERY_STRING": visit.query,
            "CONTENT_TYPE": visit.fields.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "REMOTE_USER": "tester",
            "REMOTE_ADDR": "127.0.0.1",
        }
        process = await asyncio.create_subprocess_exec(
            git,
            "http-backend",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        output, _ = await process.communicate(body)
        head, _, answer = output.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(fields.pop("Status", "200").split()[0])
        visit.answer(answer, fields.pop("Content-Type", "text/plain"), status, fields)

    return serve
