"""Small files in the official layouts, and a server on this machine that misbehaves on demand."""

from __future__ import annotations

import gzip
import hashlib
import io
import socket
import struct
import tarfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import pytest

from minidl.data import PUBLISHED, cifar, download
from minidl.data.download import Published

# How many images the small files hold; otherwise they are like the published ones.
TRAIN, TEST = 60, 10
NOWHERE = "http://127.0.0.1:9/"  # the discard port: refused


@pytest.fixture(autouse=True)
def small_and_offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every data set with few images, no network, and a separate cache for the test."""
    for name in ("MINIDL_DATA", "MINIDL_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda _: str(tmp_path / "cache"))
    monkeypatch.setattr(download, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(cifar, "BLOCK", 25)  # a file takes several
    for name, known in list(PUBLISHED.items()):
        if name.startswith("cifar"):
            files = [*known.train]
            small = replace(
                known,
                train=dict.fromkeys(files, TRAIN // len(files)),
                test=dict.fromkeys(known.test, TEST),
                archive=replace(known.archive, urls=(NOWHERE + known.archive.name,)),
            )
        else:
            offline = tuple(replace(file, urls=(NOWHERE + file.name,)) for file in known.files)
            small = replace(known, train=TRAIN, test=TEST, files=offline, installed=())
        monkeypatch.setitem(PUBLISHED, name, small)


class Made:
    """The images and labels that were written, which a loader must return."""

    def __init__(self, train, test) -> None:
        self.train = train
        self.test = test

    def check(self, dataset) -> None:
        for expected, got in ((self.train, dataset.train), (self.test, dataset.test)):
            images, labels = expected
            assert got.inputs.dtype == np.uint8
            assert got.targets.dtype == np.int64
            assert got.inputs.flags.c_contiguous
            np.testing.assert_array_equal(got.inputs, images)
            np.testing.assert_array_equal(got.targets, labels)


@pytest.fixture
def make_cifar():
    """``make_cifar(name, place)`` writes the .bin files of ``cifar-10`` or ``cifar-100``."""

    def make(name: str, place: Path) -> Made:
        known = PUBLISHED[name]
        place.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(7)
        splits = []
        for files in (known.train, known.test):
            images, labels = [], []
            for file, count in files.items():
                pixels = rng.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
                columns = [rng.integers(0, n, count, dtype=np.uint8) for _, n in known.labels]
                records = np.column_stack([*columns, pixels.reshape(count, -1)])
                (place / file).write_bytes(records.tobytes())
                images.append(pixels)
                labels.append(columns[-1])
            splits.append((np.concatenate(images), np.concatenate(labels)))
        return Made(*splits)

    return make


def idx_bytes(values: np.ndarray) -> bytes:
    """``values`` (unsigned bytes) as an IDX file."""
    head = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return head + values.tobytes()


@pytest.fixture
def make_idx():
    """``make_idx(place)`` writes the four files of MNIST or Fashion-MNIST."""

    def make(place: Path, suffix: str = "") -> Made:
        place.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(8)
        splits = []
        for split, count in (("train", TRAIN), ("t10k", TEST)):
            images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
            labels = rng.integers(0, 10, count, dtype=np.uint8)
            for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
                content = idx_bytes(values)
                path = place / f"{split}-{kind}-ubyte{suffix}"
                path.write_bytes(gzip.compress(content) if suffix else content)
            splits.append((images[:, None], labels))
        return Made(*splits)

    return make


def tar_gz(members: list[tuple[tarfile.TarInfo | str, bytes | None]]) -> bytes:
    """A .tar.gz of the given members; a name means a regular file,
    None for no contents."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for info, content in members:
            if isinstance(info, str):
                assert content is not None
                info = tarfile.TarInfo(info)
                info.size = len(content)
            if content is None:  # a header alone, whatever size it claims
                header = info.tobuf()
                tar.fileobj.write(header)
                tar.offset += len(header)
            else:
                tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch):
    """``publish(content, *urls)``: let these be the published bytes of the CIFAR-100 archive."""

    def publish(content: bytes, *urls: str) -> Published:
        known = PUBLISHED["cifar-100"]
        archive = Published(
            known.archive.name,
            len(content),
            hashlib.md5(content).hexdigest(),
            urls or known.archive.urls,
        )
        monkeypatch.setitem(PUBLISHED, known.name, replace(known, archive=archive))
        return archive

    return publish


@pytest.fixture
def cifar_archive(make_cifar, tmp_path: Path) -> tuple[bytes, Made]:
    """The CIFAR-100 archive in the official layout, and what is in it."""
    made = make_cifar("cifar-100", tmp_path / "unpacked")
    folder = "cifar-100-binary"
    members = [(f"{folder}/fine_label_names.txt", b"apple\n")]
    for name in ("test.bin", "train.bin"):
        members.append((f"{folder}/{name}", (tmp_path / "unpacked" / name).read_bytes()))
    return tar_gz(members), made


class Server(ThreadingHTTPServer):
    """Serves ``files[path]``, and behaves for each path as ``behaviour[path]`` says.

    The behaviour is a status such as 404, "redirect PATH" (or "long redirect PATH", whose body
    ends only when the client stops reading, or "slow redirect PATH"), "truncated", "reset"
    half-way, "silent", "dribble" (a byte now and then), "slow head" (headers like this), "slow
    chunk" (chunk sizes like this), or a list of these, one for each request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.behaviour: dict[str, Any] = {}
        self.asked: list[str] = []
        self.started = threading.Event()  # half of a file that is "held" has been sent
        self.go_on = threading.Event()  # the other half may be
        self.stopped = threading.Event()  # the client stopped reading a "long" body

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        path = self.path.strip("/")
        self.server.asked.append(path)
        behaviour = self.server.behaviour.get(path)
        if isinstance(behaviour, list):
            behaviour = behaviour.pop(0) if behaviour else None
        content = self.server.files.get(path, b"")
        with suppress(OSError):  # the client has gone
            self._answer(behaviour, content)

    def _answer(self, behaviour: str | int | None, content: bytes) -> None:
        if isinstance(behaviour, int):
            self.send_error(behaviour)
            return
        if behaviour == "silent":
            threading.Event().wait(2)
            return
        if behaviour == "slow head":
            self._dribble(b"HTTP/1.1 200 OK\r\n" + b"X-Nothing: 1\r\n" * 20)
            return
        if behaviour == "slow chunk":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;")
            self._dribble(b"a" * 60)
            return
        if behaviour and "redirect " in behaviour:
            kind, _, place = behaviour.partition("redirect ")
            threading.Event().wait(0.05 if kind == "slow " else 0)
            self.send_response(302)
            self.send_header("Location", place)
            self.end_headers()
            if kind == "long ":
                self._send_for_ever()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        half = len(content) // 2
        if behaviour == "dribble":
            self._dribble(content)
        elif behaviour == "truncated":
            self.wfile.write(content[:half])
        elif behaviour == "reset":
            self.wfile.write(content[:half])
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif behaviour == "held":
            self.wfile.write(content[:half])
            self.wfile.flush()
            self.server.started.set()
            self.server.go_on.wait(20)
            self.wfile.write(content[half:])
        else:
            self.wfile.write(content)

    def _send_for_ever(self) -> None:
        block = bytes(1 << 20)
        try:
            for _ in range(512):
                self.wfile.write(block)
        except OSError:
            self.server.stopped.set()

    def _dribble(self, content: bytes) -> None:
        for at in range(min(len(content), 60)):
            self.wfile.write(content[at : at + 1])
            self.wfile.flush()
            threading.Event().wait(0.05)

    def log_message(self, *args: object) -> None:
        """Keep the tests quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def leftovers(folder: Path) -> list[str]:
    """All files under ``folder``, at any depth, except locks, which stay."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock")
    return sorted(str(p.relative_to(folder)) for p in files)


@pytest.fixture(name="leftovers")
def leftovers_fixture():
    return leftovers


@pytest.fixture(name="tar_gz")
def tar_gz_fixture():
    return tar_gz


@pytest.fixture(name="idx_bytes")
def idx_bytes_fixture():
    return idx_bytes
