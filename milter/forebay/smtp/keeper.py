"""The keeper: one process beside the mail. It takes record files into the store, follows the store, and answers
/metrics and /healthz over HTTP, on an address of this host only.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forebay import metrics
from forebay.logs import LOGGER
from forebay.smtp import statusfile
from forebay.smtp.listener import bind_inet, refused
from forebay.smtp.template import become

if TYPE_CHECKING:
    from forebay.config import Config
    from forebay.smtp.channel import Channel
    from forebay.smtp.page import Page

_MOST_AT_ONCE: Final = 16


def bind(address: str) -> socket.socket:
    """The socket of `HOST:PORT`. Raises UnavailableError or RightsError where it cannot be had."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        return bind_inet(socket.AF_INET6 if ":" in host else socket.AF_INET, host, int(port))
    except OSError as error:
        raise refused(address, "milter.metrics", error) from None


def run(config: Config, page: Page, listening: socket.socket | None, channel: Channel) -> None:
    """Work until the line to the supervisor ends. Without `listening`, nothing is answered over HTTP."""
    settings = config.milter
    become(settings.user)
    counted = metrics.KeeperMetrics(str(Path(settings.runtime, "metrics")))
    if listening:
        server = _Server(Path(settings.runtime), page, listening)
        threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    threading.Thread(target=_keep_books, args=(config, channel, counted), name="books", daemon=True).start()
    while channel.receive() is not None:
        pass
    os._exit(os.EX_OK)


def _keep_books(config: Config, channel: Channel, counted: metrics.KeeperMetrics) -> None:
    """A failure that nobody foresaw ends the keeper, which is replaced, with back-off."""
    try:
        from forebay.smtp.bookkeeper import Bookkeeper  # noqa: PLC0415 - the store is imported here, and nowhere else in the milter

        Bookkeeper(config, channel, counted).run()
    except BaseException:
        logging.getLogger(LOGGER).exception("the keeper of the store gave up")
    os._exit(os.EX_SOFTWARE)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, runtime: Path, page: Page, listening: socket.socket) -> None:
        super().__init__(listening.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.runtime = runtime
        self.page = page
        self.places = threading.BoundedSemaphore(_MOST_AT_ONCE)

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Answer in a thread of its own, if one is free: slow readers must not pile up."""
        if self.places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.places.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that breaks off is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10
    server_version = "forebay"
    sys_version = ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            try:
                body, kind = metrics.render(str(self.server.runtime / "metrics"), self.headers.get("Accept", ""))
            except metrics.UNREADABLE:
                logging.getLogger(LOGGER).exception("a scrape could not be answered")
                self._reply(HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", b"the files of metrics cannot be read\n")
                return
            self._reply(HTTPStatus.OK, kind, body)
        elif path == "/healthz":
            status = statusfile.read(self.server.runtime) or {}
            status["sessions"] = self.server.page.sessions()
            healthy = status.get("state") in {"serving", "reloading"} and bool(status.get("workers"))
            code = HTTPStatus.OK if healthy else HTTPStatus.SERVICE_UNAVAILABLE
            self._reply(code, "application/json", json.dumps(status).encode() + b"\n")
        else:
            self._reply(HTTPStatus.NOT_FOUND, "text/plain", b"/metrics or /healthz\n")

    do_HEAD = do_GET  # noqa: N815 - the handler's interface

    def _reply(self, code: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Scrapes are no news either."""
