"""Every reader of minidl as a fuzzing target: a valid file, the reader, its allowed answers.

A target is fed bytes. The first one says how to interpret the rest: as the file itself, or as a
list of edits to the parts of a valid file, which is then assembled with all checksums correct, so
that the damage gets past them. The reader may refuse the file with its documented exception; what
it accepts is compared with what another reader finds in the same file.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import struct
import tarfile
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from minidl import Adam, Dense, Examples, Network, SoftmaxCrossEntropy, WeightsError
from minidl.data import CorruptDataset
from minidl.data.archive import extract
from minidl.data.cifar import CIFAR_100
from minidl.data.idx import read_idx
from minidl.microscope.snapshot import Snapshot, take_snapshot
from minidl.microscope.snapshot_file import SnapshotError, read_snapshot, write_snapshot
from minidl.storage.sealed import DIGEST, HEAD
from minidl.study.cells import Cells
from minidl.training.checkpoint import Checkpoint, CheckpointError, Position
from minidl.training.step import TrainingStep

EDITS_AT_MOST = 16


class WronglyAccepted(AssertionError):
    """A reader mistook a file for something that it is not."""


@dataclass(frozen=True)
class Target:
    """A reader, and a way to tell whether it is right."""

    name: str  # of the file
    make: Callable[[], tuple[bytes, ...]]  # the parts of a valid file
    wrap: Callable[[Sequence[bytes]], bytes]  # the file from its parts, checksums right
    read: Callable[[Path], Any]
    refusal: type[Exception]  # its documented exception
    is_right: Callable[[bytes, Any], bool]  # compares bytes and result by another reader

    @cached_property
    def parts(self) -> tuple[bytes, ...]:
        return self.make()

    @cached_property
    def valid(self) -> bytes:
        return self.wrap(self.parts)

    def file(self, data: bytes) -> bytes:
        """The file that ``data`` encodes."""
        if data[:1] != b"\1":
            return data[1:]
        parts = [bytearray(part) for part in self.parts]
        script = data[1 : 1 + 8 * EDITS_AT_MOST]
        for kind, which, at, value in struct.iter_unpack("<BBHI", script[: len(script) // 8 * 8]):
            part = parts[which % len(parts)]
            EDITS[kind % len(EDITS)](part, at % (len(part) + 1), value)
        return self.wrap([bytes(part) for part in parts])

    def feed(self, content: bytes, folder: Path) -> bool:
        """Whether the reader accepts ``content``; any undocumented exception propagates."""
        path = folder / self.name
        path.write_bytes(content)
        try:
            got = self.read(path)
        except self.refusal:
            return False
        if not self.is_right(content, got):
            raise WronglyAccepted(f"{self.name}: {content[:2000]!r}")
        return True


# -- edits: (part, position, value) -----------------------------------------------------------


def _flip(part: bytearray, at: int, value: int) -> None:
    part[at : at + 1] = bytes(byte ^ 1 << value % 8 for byte in part[at : at + 1])


def _number(order: str, size: int) -> Callable[[bytearray, int, int], None]:
    def write(part: bytearray, at: int, value: int) -> None:
        number = value if value < 1 << 24 else -(value & 0xFF)  # small ones, and −1, −2, …
        number %= 1 << 8 * size
        part[at : at + size] = number.to_bytes(size, "little" if order == "<" else "big")

    return write


def _delete(part: bytearray, at: int, value: int) -> None:
    del part[at : at + value % 64]


def _cut(part: bytearray, at: int, value: int) -> None:
    del part[at:]


def _insert(part: bytearray, at: int, value: int) -> None:
    part[at:at] = bytes([value >> 8 & 0xFF]) * (value % 64)


def _repeat(part: bytearray, at: int, value: int) -> None:
    part[at:at] = part[at : at + value % 1024]


def _digits(part: bytearray, at: int, value: int) -> None:
    text = str(value).encode()
    part[at : at + len(text)] = text


EDITS = (
    *(_flip, _delete, _cut, _insert, _repeat, _digits),
    *(_number("<", 1), _number("<", 2), _number("<", 4), _number(">", 4), _number("<", 8)),
)


# -- CIFAR ------------------------------------------------------------------------------------

RECORDS = 2
SMALL = replace(CIFAR_100, train={"train.bin": RECORDS})
LABELS = np.array([[3, 42], [19, 99]], np.uint8)
PIXELS = np.arange(RECORDS * 3072).reshape(RECORDS, 3072).astype(np.uint8)


def _read_cifar(path: Path) -> Any:
    return SMALL._examples(path.parent, SMALL.train)


def _is_cifar(content: bytes, got: Any) -> bool:
    if len(content) != RECORDS * 3074:
        return False
    rows = [content[start : start + 3074] for start in (0, 3074)]
    in_range = all(row[0] < 20 and row[1] < 100 for row in rows)
    pixels = b"".join(row[2:] for row in rows)
    labels = [row[1] for row in rows]
    return in_range and got.inputs.tobytes() == pixels and got.targets.tolist() == labels


# -- IDX --------------------------------------------------------------------------------------

SHAPE = (3, 4, 5)
IDX = b"\0\0\x08\3" + struct.pack(">3I", *SHAPE) + bytes(range(60))


def _read_idx(path: Path) -> Any:
    return read_idx(path, SHAPE)


def _is_idx(content: bytes, got: Any) -> bool:
    return content[:16] == IDX[:16] and content[16:] == got.tobytes() and got.shape == SHAPE


def _gunzip(content: bytes, whole: bool) -> bytes:
    """RFC 1952 by hand: the contents of all members, or only of ``whole`` ones with a correct CRC.

    Like Python's gzip, it ignores flags without a meaning and the CRC of the header.
    """
    unpacked = b""
    while content[:3] == b"\x1f\x8b\x08" and len(content) > 10:
        flags, at = content[3], 10
        if flags & 4:
            at += 2 + int.from_bytes(content[at : at + 2], "little")
        for flag in (8, 16):  # a name and a comment, each up to a zero byte
            if flags & flag:
                at = content.find(b"\0", at) + 1 or len(content)
        at += flags & 2  # the header's CRC is two bytes
        member, found = zlib.decompressobj(-15), b""
        for end in range(at, len(content)):
            try:
                found += member.decompress(content[end : end + 1])
            except zlib.error:
                break
            if member.eof:
                at = end + 1
                break
        sums = struct.pack("<2I", zlib.crc32(found), len(found) & 0xFFFFFFFF)
        if not member.eof or content[at : at + 8] != sums:
            return unpacked if whole else unpacked + found
        unpacked, content = unpacked + found, content[at + 8 :].lstrip(b"\0")
    return unpacked


def _is_zipped_idx(content: bytes, got: Any) -> bool:
    return _is_idx(_gunzip(content, whole=True), got)


def _gzipped(parts: Sequence[bytes]) -> bytes:
    return gzip.compress(b"".join(parts), 1, mtime=0)


# -- archives ---------------------------------------------------------------------------------

MEMBERS = {"d/a.bin": b"a" * 20, "d/b.bin": bytes(range(30))}


def _tar() -> tuple[bytes, ...]:
    """Header and contents of each member, and the end of the archive."""
    parts = []
    for name, content in MEMBERS.items():
        info = tarfile.TarInfo(name)
        info.size = len(content)
        parts += [info.tobuf(tarfile.USTAR_FORMAT), content.ljust(512, b"\0")]
    return (*parts, bytes(1024))


def _tar_gz(parts: Sequence[bytes]) -> bytes:
    """The archive, gzipped, with the correct checksum in each 512-byte header."""
    sealed = []
    for part in parts:
        if len(part) == 512 and part[257:262] == b"ustar":
            total = sum(part) - sum(part[148:156]) + 8 * 32
            part = part[:148] + b"%06o\0 " % (total % 0o1000000) + part[156:]
        sealed.append(part)
    return _gzipped(sealed)


def _extract(path: Path) -> dict[str, bytes]:
    """Every file that unpacking left anywhere in the folder, except the archive."""
    out = path.parent / "deep" / "out"
    shutil.rmtree(path.parent / "deep", ignore_errors=True)
    out.mkdir(parents=True)
    try:
        extract(path, {name: len(content) for name, content in MEMBERS.items()}, out)
    finally:
        files = [file for file in path.parent.rglob("*") if file != path and not file.is_dir()]
        left = {
            file.relative_to(path.parent).as_posix(): file.read_bytes()
            for file in files
            if file != out / "d" / ".a.bin.lock"
        }
        if not set(left) <= {f"deep/out/{name}" for name in MEMBERS}:
            raise WronglyAccepted(f"files written elsewhere: {sorted(left)}")
    return left


def _is_extracted(content: bytes, got: dict[str, bytes]) -> bool:
    """Both are there with the right size, and their names and contents are in the archive."""
    unpacked = _gunzip(content, whole=False)
    return len(got) == len(MEMBERS) and all(
        len(got[f"deep/out/{name}"]) == len(expected)
        and name.encode() in unpacked
        and got[f"deep/out/{name}"] in unpacked
        for name, expected in MEMBERS.items()
    )


# -- weights ----------------------------------------------------------------------------------


def _network(seed: int) -> Network:
    return Network([Dense(2, 3)], 2, rng=seed)


def _weights() -> tuple[bytes, ...]:
    """The names of the members, one a line, then the members."""
    with tempfile.TemporaryDirectory() as folder:
        _network(1).save(path := Path(folder, "w.npz"))
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            return ("\n".join(names).encode(), *map(archive.read, names))


def _zip(parts: Sequence[bytes]) -> bytes:
    names = parts[0].decode("latin-1").split("\n")
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a name that occurs twice
        for name, content in zip(names, parts[1:], strict=False):
            archive.writestr(zipfile.ZipInfo(name), content)
    return held.getvalue()


def _load(path: Path) -> Network:
    network = _network(2)
    before = network.theta.tobytes()
    try:
        network.load(path)
    except BaseException:
        if network.theta.tobytes() != before:
            raise WronglyAccepted("refused, but the network has changed") from None
        raise
    return network


def _is_loaded(content: bytes, got: Network) -> bool:
    """The numbers equal those of np.load, and each member's CRC is in the file."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file, np.errstate(all="ignore"):
        same = all(
            file[f"dense_1.{name}"].astype(np.float32).tobytes() == value.tobytes()
            for name, value in got["dense_1"].parameters().items()
        )
        members = [file.zip.read(name) for name in file.zip.namelist()]
    return same and all(struct.pack("<I", zlib.crc32(member)) in content for member in members)


# -- checkpoints and configurations -----------------------------------------------------------


def _step() -> TrainingStep:
    examples = Examples(np.ones((5, 2), np.float32), np.zeros(5, np.int64))
    return TrainingStep(_network(1), examples, SoftmaxCrossEntropy(), Adam(), 2)


def _checkpoint() -> tuple[bytes, ...]:
    """The contents of a checkpoint from the middle of an epoch, cut into pieces for the edits."""
    step, rng = _step(), np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Checkpoint(Path(folder, "a"))
        checkpoint.track("history", [1.0, 2.0])
        checkpoint.restore(step, rng)
        order = rng.permutation(5)
        with step.epoch(order):
            step()
            checkpoint.save(step, rng, Position(0, 1, order, 0.5))
        contents = checkpoint.path.read_bytes()[len(HEAD) + DIGEST :]
    return tuple(contents[at : at + 64] for at in range(0, len(contents), 64))


def _sealed(parts: Sequence[bytes]) -> bytes:
    contents = b"".join(parts)
    return HEAD + hashlib.sha256(contents).digest() + contents


def _resume(path: Path) -> tuple[TrainingStep, list[float]]:
    step = _step()
    before = step.network.theta.tobytes()
    try:
        checkpoint = Checkpoint(path)
        kept = checkpoint.track("history", [], list[float])
        checkpoint.restore(step, np.random.default_rng(0))
    except BaseException:
        if step.network.theta.tobytes() != before:
            raise WronglyAccepted("refused, but the network has changed") from None
        raise
    return step, kept


def _is_resumed(content: bytes, got: tuple[TrainingStep, list[float]]) -> bool:
    """The checksum is right, and every vector is in the file exactly as it was loaded."""
    step, _ = got
    digest, contents = content[len(HEAD) : len(HEAD) + DIGEST], content[len(HEAD) + DIGEST :]
    vectors = [step.network.theta, *(getattr(step.optimizer, name) for name in ("m", "v"))]
    return (
        content.startswith(HEAD)
        and hashlib.sha256(contents).digest() == digest
        and all(v.tobytes() in contents for v in vectors if step.optimizer.t or v.any())
    )


CONFIGURATION = {"epochs": 20, "hidden": [512, 512], "limit": None, "threads": 1}


def _configured(path: Path) -> bool:
    shutil.rmtree(path.parent / "cells", ignore_errors=True)
    Cells(path.parent, CONFIGURATION)
    return True


def _is_configured(content: bytes, got: bool) -> bool:
    found = json.loads(content.decode("utf-8"))
    return {n: v for n, v in found.items() if not n.startswith("data ")} == CONFIGURATION


# -- snapshots ------------------------------------------------------------------------------------


def _snapshot() -> tuple[bytes, ...]:
    """The names of the members, one a line, then the members."""
    x, labels = np.ones((2, 2), np.float32), np.array([0, 2])
    snapshot = take_snapshot(_network(1), SoftmaxCrossEntropy(), x, labels, epoch=3)
    with tempfile.TemporaryDirectory() as folder:
        write_snapshot(path := Path(folder, "snapshot.npz"), snapshot)
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            return ("\n".join(names).encode(), *map(archive.read, names))


def _is_snapshot(content: bytes, got: Snapshot) -> bool:
    """The arrays that np.load finds, and each member's CRC is in the file."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        same = file["norms"].tolist() == [stop.norm for stop in got.signal] or any(
            stop.norm != stop.norm for stop in got.signal
        )
        for layer in got.layers:
            for part in ("shown", "W", "W_scale", "dW", "z_counts", "y_edges", "slope", "curve"):
                kept = getattr(layer, part)
                same = same and file[f"{layer.name}.{part}"].tobytes() == kept.tobytes()
        members = [file.zip.read(name) for name in file.zip.namelist() if name in _read_of(got)]
    return same and all(struct.pack("<I", zlib.crc32(member)) in content for member in members)


def _read_of(snapshot: Snapshot) -> set[str]:
    """The members that a reader of this snapshot reads."""
    parts = {f"{layer.name}.{part}.npy" for layer in snapshot.layers for part in vars(layer)}
    return {"manifest.npy", "loss.npy", "norms.npy", "predicted.npy", *parts}


def _joined(parts: Sequence[bytes]) -> bytes:
    return b"".join(parts)


TARGETS: dict[str, Target] = {
    "cifar": Target(
        *("train.bin", lambda: tuple(map(bytes, np.hstack([LABELS, PIXELS])))),
        *(_joined, _read_cifar, CorruptDataset, _is_cifar),
    ),
    "idx": Target("x", lambda: (IDX,), _joined, _read_idx, CorruptDataset, _is_idx),
    "idx.gz": Target("x.gz", lambda: (IDX,), _gzipped, _read_idx, CorruptDataset, _is_zipped_idx),
    "tar.gz": Target("x.tar.gz", _tar, _tar_gz, _extract, CorruptDataset, _is_extracted),
    "checkpoint": Target("a", _checkpoint, _sealed, _resume, CheckpointError, _is_resumed),
    "configuration": Target(
        *("configuration.json", lambda: (json.dumps(CONFIGURATION).encode(),), _joined),
        *(_configured, CheckpointError, _is_configured),
    ),
    "weights": Target("w.npz", _weights, _zip, _load, WeightsError, _is_loaded),
    "snapshot": Target("snapshot.npz", _snapshot, _zip, read_snapshot, SnapshotError, _is_snapshot),
}
