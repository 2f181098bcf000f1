"""A page for browsers on this machine only."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from minidl.microscope.snapshot_file import SnapshotError

LOOPBACK = "127.0.0.1"
HEADERS = {
    "Cache-Control": "no-store",  # the run may still be in progress
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class PageServer(ThreadingHTTPServer):
    """Answers ``GET /`` with the page that ``make`` returns, made anew for each request.

    It listens only on the loopback address.  A page of another site could still reach it under
    a name of its own for that address (DNS rebinding); so it only answers requests that address
    this machine by its own names.  There is only one path, so no path leads anywhere else.

    ``port`` 0 takes a free one; ``address`` is the address of the page.
    """

    request_queue_size = 128  # connections that wait to be accepted

    def __init__(self, make: Callable[[], str], port: int = 0) -> None:
        super().__init__((LOOPBACK, port), Answer)
        self.make = make
        port = self.server_address[1]
        names = (LOOPBACK, "localhost")
        self.hosts = {*(f"{name}:{port}" for name in names), *(names if port == 80 else ())}
        self.address = f"http://{LOOPBACK}:{port}/"


class _Request(io.RawIOBase):
    """The bytes of a request, all of which must arrive within a number of seconds.

    The timeout of a socket applies to each packet: a byte now and then would never exceed it.
    """

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self.connection = connection
        self.end = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.connection.settimeout(left)
        return self.connection.recv_into(buffer)


class Answer(BaseHTTPRequestHandler):
    """One request."""

    server: PageServer
    timeout = 10  # seconds for a request to arrive, and again for its answer to be received
    server_version, sys_version = "minidl", ""

    def setup(self) -> None:
        super().setup()
        self.rfile = io.BufferedReader(_Request(self.connection, self.timeout))

    def do_GET(self) -> None:
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or hosts[0] not in self.server.hosts:
            self._send(HTTPStatus.FORBIDDEN, f"Ask for {self.server.address} instead.\n")
        elif self.path != "/":
            self._send(HTTPStatus.NOT_FOUND, f"The only page is {self.server.address}\n")
        else:
            try:
                text = self.server.make()
            except (SnapshotError, OSError) as error:
                self._send(HTTPStatus.INTERNAL_SERVER_ERROR, f"{error}\n")
            else:
                self._send(HTTPStatus.OK, text, "text/html")

    do_HEAD = do_GET

    def _send(self, status: HTTPStatus, text: str, kind: str = "text/plain") -> None:
        body = text.encode("utf-8", "replace")
        self.connection.settimeout(self.timeout)
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        with suppress(ConnectionError):  # the browser has gone
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the terminal shows only the address."""


def serve(make: Callable[[], str], port: int = 0) -> None:
    """Serve the page until Ctrl-C; if it cannot be made, raise the error at once."""
    make()
    try:
        server = PageServer(make, port)
    except OSError as error:
        raise OSError(f"port {port}: {error.strerror}; choose another one, or 0") from error
    with server:
        print(f"{server.address}  (this machine only; Ctrl-C stops it)", flush=True)
        server.serve_forever()
