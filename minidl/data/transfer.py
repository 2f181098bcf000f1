"""The bytes behind one URL, as they come: bounded in time, and what goes wrong in a few words."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from minidl._printable import printable

CONNECT_TIMEOUT = 4.0  # seconds for a connection, per address of the server
ANSWER_TIMEOUT = 60.0  # seconds until the contents begin, with all redirects on the way
READ_TIMEOUT = 15.0  # seconds without a byte
# A server that sends a byte now and then never runs into READ_TIMEOUT. So the speed counts, too,
# on average from the first byte: slower than a modem's, and even then a file of 170 MB, the largest
# here, has to be there after five hours.
PATIENCE = 30.0  # seconds before it counts
SLOWEST = 10_000  # bytes per second
BLOCK = 1 << 16  # bytes read at a time

# What a server says that is overloaded or just being restarted.
PASSING = {408, 425, 429, 500, 502, 503, 504}


class MirrorError(Exception):
    """A server did not give the file; ``passing``: it may, if it is asked again."""

    def __init__(self, message: str, passing: bool = False) -> None:
        super().__init__(printable(message, limit=200))
        self.passing = passing


def blocks(url: str) -> Generator[bytes, None, None]:
    """What ``url`` holds, in the encoding in which it is sent, in blocks of up to 64 KiB.

    Raises
    ------
    MirrorError
        for any other answer than the contents, none in time, or one that breaks off or
        comes too slowly.
    """
    with _answer(url) as (response, lines):
        if response.status_code != 200:
            status = response.status_code
            raise MirrorError(f"HTTP status {status}", status in PASSING)
        start, received = time.monotonic(), 0
        with lines.cut_at(lambda: start + max(PATIENCE, received / SLOWEST)):
            while block := _read(response, lines, received):
                received += len(block)
                yield block
    if lines.late:
        seconds = time.monotonic() - start
        raise MirrorError(f"too slow, {received:,} bytes in {seconds:.0f} s")


@contextmanager
def _answer(url: str) -> Iterator[tuple[Any, Any]]:
    """The answer, its contents still to be read, and its connections."""
    from minidl.data.answer import answer

    with ExitStack() as stack:
        try:
            timeout = (CONNECT_TIMEOUT, READ_TIMEOUT)
            found = stack.enter_context(answer(url, ANSWER_TIMEOUT, timeout))
        except TimeoutError:
            message = f"no answer within {ANSWER_TIMEOUT:.0f} s"
            raise MirrorError(message, passing=True) from None
        except Exception as error:
            raise _mirror_error(error) from error
        yield found


def _read(response: Any, lines: Any, received: int) -> bytes:
    """The next bytes, as soon as there are any; nothing at the end, or once the line is cut."""
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    try:
        return response.raw.read1(BLOCK, decode_content=False)
    except (HTTPError, OSError, ValueError) as error:
        if lines.late:
            return b""
        if isinstance(error, ReadTimeoutError):
            message = f"nothing more within {READ_TIMEOUT:.0f} s"
        else:
            message = f"broke off after {received:,} bytes"
        raise MirrorError(message, passing=True) from error


def _mirror_error(error: Exception) -> MirrorError:
    from requests import exceptions as http
    from urllib3.exceptions import NameResolutionError

    if isinstance(error, http.ConnectTimeout):
        return MirrorError(f"no connection within {CONNECT_TIMEOUT:.0f} s")
    if isinstance(error, http.Timeout):
        return MirrorError(f"no answer within {READ_TIMEOUT:.0f} s", passing=True)
    if isinstance(error, http.ProxyError):
        return MirrorError("no connection through the proxy", passing=True)
    if isinstance(error, http.SSLError):
        hint = "REQUESTS_CA_BUNDLE names a file with certificates to trust"
        return MirrorError(f"no secure connection ({hint})", passing=True)
    if isinstance(error, http.ConnectionError):
        reason = getattr(error.args[0], "reason", None) if error.args else None
        known = not isinstance(reason, NameResolutionError)  # else there is no network, as a rule
        return MirrorError("no connection" if known else "server not found", passing=known)
    if isinstance(error, http.TooManyRedirects):
        return MirrorError("redirected in a circle")
    return MirrorError(f"{type(error).__name__}: {error}")
