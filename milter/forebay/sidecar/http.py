"""/metrics and /healthz over HTTP, on an address of this host only: small answers to one request a connection."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from forebay.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from forebay.sidecar.metering import Meter

_SECONDS: Final = 5.0
_MOST_BYTES: Final = 8192
_MOST_AT_ONCE: Final = 16


async def serve(address: str, meter: Meter, health: Callable[[], dict[str, Any]]) -> asyncio.Server | None:
    """Begin to answer at `HOST:PORT`; nothing for an empty address. Raises UnavailableError where that is taken."""
    if not address:
        return None
    host, _, port = address.rpartition(":")
    places = asyncio.Semaphore(_MOST_AT_ONCE)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with places, asyncio.timeout(_SECONDS):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(_answer(request, meter, health))
                await writer.drain()
        writer.close()

    try:
        return await asyncio.start_server(answer, host.strip("[]"), int(port), limit=_MOST_BYTES)
    except OSError as error:
        raise UnavailableError(f"sidecar.metrics: {address}: {error.strerror}") from None


def _answer(request: bytes, meter: Meter, health: Callable[[], dict[str, Any]]) -> bytes:
    lines = request.decode("latin-1").split("\r\n")
    method, path = [*lines[0].split(" "), "", ""][:2]
    accept = next((line.partition(":")[2] for line in lines if line.lower().startswith("accept:")), "")
    path = path.partition("?")[0]
    if method not in {"GET", "HEAD"}:
        status, kind, body = "405 Method Not Allowed", "text/plain", b"GET\n"
    elif path == "/metrics":
        status = "200 OK"
        body, kind = meter.render(accept.strip())
    elif path == "/healthz":
        status, kind, body = "200 OK", "application/json", json.dumps(health()).encode() + b"\n"
    else:
        status, kind, body = "404 Not Found", "text/plain", b"/metrics or /healthz\n"
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode("latin-1") + (b"" if method == "HEAD" else body)
