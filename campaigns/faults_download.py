"""Kill downloads at random instants, as with ``kill -9``, and check what they leave behind.

    python campaigns/faults_download.py --kills 200

A server on this machine sends a file of 2 MB in about a quarter of a second. One process downloads
it and is killed. A second one starts after that or, in every other round, is already waiting for
its turn. It must finish with the right file and leave nothing else.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CONTENT = random.Random(0).randbytes(2_000_000)
NAME = "file.gz"
DOWNLOAD = """
import sys
from pathlib import Path
import filelock, requests, urllib3
from minidl.data.download import Published, fetch

folder, url, name, size, md5 = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
fetch(Published(name, int(size), md5, (url,)), Path(folder), progress=False)
"""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        with suppress(OSError):  # the client was killed
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            for start in range(0, len(CONTENT), 1 << 16):
                self.wfile.write(CONTENT[start : start + (1 << 16)])
                time.sleep(0.008)

    def log_message(self, *args: object) -> None:
        """Log nothing."""


@contextmanager
def _server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/{NAME}"
        server.shutdown()
        thread.join()


class _Download:
    """A process that is ready to download, and does so on command."""

    def __init__(self, folder: Path, url: str) -> None:
        md5 = hashlib.md5(CONTENT).hexdigest()
        self.process = subprocess.Popen(
            [sys.executable, "-c", DOWNLOAD, str(folder), url, NAME, str(len(CONTENT)), md5],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.process.stdout.readline()

    def begin(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def kill(self) -> int:
        """Kill it and return its status: 0 if it had already finished."""
        self.process.kill()
        return self.end()

    def end(self) -> int:
        """Wait until it has finished and return its status."""
        self.process.communicate(timeout=60)
        return self.process.returncode


def campaign(kills: int, folder: Path, seed: int = 0) -> Counter[str]:
    """Kill ``kills`` downloads into ``folder``; count when they were killed, and what went wrong.

    ``killed before``, ``killed while writing``, ``killed after``: none of the file, a part of it,
    or all of it was there; of the last, ``ended before the kill`` had already finished.
    ``wrong file``, ``second failed``, ``left behind`` must not occur.

    Raises
    ------
    RuntimeError
        if an undisturbed download does not produce the file.
    """
    draw, counts = random.Random(seed), Counter[str]()
    path = folder / NAME

    def is_wrong() -> bool:
        return path.exists() and path.read_bytes() != CONTENT

    start = time.perf_counter()
    with _server() as url:
        undisturbed = _Download(folder, url)
        begun = time.perf_counter()
        undisturbed.begin()
        status = undisturbed.end()
        seconds = time.perf_counter() - begun
        if status or not path.exists() or is_wrong():
            raise RuntimeError(f"expected an undisturbed download to succeed, got status {status}")
        for number in range(kills):
            path.unlink(missing_ok=True)
            first, second = _Download(folder, url), _Download(folder, url)
            instant = time.perf_counter() + draw.uniform(0, 1.1 * seconds)
            first.begin()
            if number % 2:
                time.sleep(0.02)
                second.begin()
            time.sleep(max(0.0, instant - time.perf_counter()))
            counts["ended before the kill"] += first.kill() == 0
            state = "before"
            if path.exists():
                state = "after"
            elif any(folder.glob(".*.part")):
                state = "while writing"
            counts[f"killed {state}"] += 1
            counts["wrong file"] += is_wrong()
            if not number % 2:
                second.begin()
            counts["second failed"] += second.end() != 0
            counts["wrong file"] += is_wrong() or not path.exists()
            counts["left behind"] += any(folder.glob(".*.part"))
    counts["seconds"] = round(time.perf_counter() - start)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="seed of the instants")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        counts = campaign(chosen.kills, Path(folder), chosen.seed)
    print(dict(counts))
    sys.exit(any(counts[fault] for fault in ("wrong file", "second failed", "left behind")))


if __name__ == "__main__":
    main()
