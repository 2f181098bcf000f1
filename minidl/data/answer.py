"""The response of one URL: redirects followed, and all of it within one time limit.

The timeouts of requests apply to each packet, and a server may send its headers, or the chunk sizes
of its contents, byte by byte, or redirect from address to address. So a thread that watches the
clock closes the connections from outside.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any
from urllib.parse import urljoin

import requests
from requests.adapters import HTTPAdapter

REDIRECTS = 30  # one after the other
HEADERS = {"Accept-Encoding": "identity"}  # the bytes as published, not repacked


@contextmanager
def answer(
    url: str, seconds: float, timeout: tuple[float, float]
) -> Iterator[tuple[requests.Response, Lines]]:
    """The answer, its contents still to be read, and its connections; closed in the end.

    ``timeout`` is for a connection and for each packet, ``seconds`` for all until the contents
    begin. Proxies, certificates and passwords are those of the environment, as requests
    reads it.

    Raises
    ------
    TimeoutError
        if they have not begun after ``seconds``.
    requests.RequestException
        for whatever else goes wrong.
    """
    end = time.monotonic() + seconds
    with requests.Session() as session, closing(Lines()) as lines:
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Adapter(lines))
        try:
            with lines.cut_at(lambda: end):
                response = _ask(session, url, timeout)
        except Exception as error:
            if lines.late:
                raise TimeoutError from error
            raise
        with response:
            if lines.late:  # headers that were cut look like the last ones
                raise TimeoutError
            yield response, lines


def _ask(session: requests.Session, url: str, timeout: tuple[float, float]) -> requests.Response:
    """The first answer that is no redirect.

    Followed by requests, a redirect would be read to its end first, however long it is.
    """
    for _ in range(REDIRECTS + 1):
        request = session.prepare_request(requests.Request("GET", url, HEADERS))
        assert request.url is not None
        settings = session.merge_environment_settings(request.url, {}, True, None, None)
        adapter = session.get_adapter(request.url)
        response = adapter.send(request, timeout=timeout, **settings)
        target = session.get_redirect_target(response)
        if target is None:
            return response
        response.close()
        url = urljoin(request.url, target)
    raise requests.TooManyRedirects(f"more than {REDIRECTS} redirects")


class Lines:
    """The connections that were made for one answer."""

    def __init__(self) -> None:
        self.late = False
        self._handles: list[socket.socket] = []

    def add(self, opened: socket.socket) -> None:
        """Keep a handle of its own: TLS takes the socket itself over."""
        self._handles.append(opened.dup())
        if self.late:
            self._cut()

    @contextmanager
    def cut_at(self, end: Callable[[], float]) -> Iterator[None]:
        """A context that closes all connections once ``time.monotonic()`` reaches ``end()``.

        ``late`` is then true.  The end may be postponed in the meantime.
        """
        done = threading.Event()

        def watch() -> None:
            while (left := end() - time.monotonic()) > 0:
                if done.wait(left):
                    return
            self._cut()

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def close(self) -> None:
        for handle in self._handles:
            handle.close()

    def _cut(self) -> None:
        self.late = True
        for handle in self._handles:
            with suppress(OSError):  # it has ended by itself
                handle.shutdown(socket.SHUT_RDWR)


class _Adapter(HTTPAdapter):
    """Makes connections as requests does, directly or through a proxy, and reports each."""

    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self.lines = lines

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> Any:
        pool = super().get_connection_with_tls_context(*arguments, **options)
        pool.ConnectionCls = _reported(pool.ConnectionCls, self.lines)
        return pool


def _reported(kind: Any, lines: Lines) -> Any:
    """The class of connections ``kind``; ``lines`` is told of each socket before it is used."""

    class Reported(kind):
        def _new_conn(self) -> socket.socket:
            opened = super()._new_conn()
            lines.add(opened)
            return opened

    return Reported
