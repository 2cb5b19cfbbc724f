"""A program that reaches a server through a tunnel, in three ways.

::

    python examples/library_tunnel.py http://intranet.example/ < invite.txt
"""

from __future__ import annotations

import asyncio
import sys
import urllib.parse

import httpx

import underpass


async def main(url: str) -> None:
    """Fetch `url` over a stream, over asyncio's own pair, and with httpx."""
    parts = urllib.parse.urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    request = f"GET {parts.path or '/'} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode()
    async with underpass.connect(sys.stdin.read()) as tunnel:
        print(f"up: {tunnel.carrier}", flush=True)

        stream = await tunnel.open(host, port)
        await stream.send(request)
        first = await stream.receive()
        print("stream:", first.split(b"\r\n")[0].decode())
        await stream.close()

        reader, writer = await tunnel.open_connection(host, port)
        writer.write(request)
        print("reader:", (await reader.readline()).decode().strip())
        writer.close()
        await writer.wait_closed()

        async with httpx.AsyncClient(proxy=tunnel.proxy_url) as client:
            answer = await client.get(url)
            print("httpx:", answer.status_code)


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1]))
    except (underpass.UnderpassError, OSError) as error:
        sys.exit(f"no tunnel: {error}")
