"""The folder of a run: it names its study, and every file in it is complete or absent."""

from __future__ import annotations

import csv
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from minidl._printable import printable
from minidl.storage.files import (
    expect_no_folder,
    is_part,
    own_folder,
    read_json,
    remove_parts,
    try_lock,
    whole_file,
)
from minidl.study.figures import write_figure
from minidl.study.options import InputError
from minidl.study.order import TOKEN

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The name of a file or folder to write: not ".." or "/", and valid on every system.
PART = re.compile(r"\w[\w .+-]*", re.ASCII)


MARKER = "minidl-run.json"  # marks a folder that minidl writes to
# What runs write into their folder.
FILES = ("summary.json", "report.md", "report.html", "epochs.csv", "gradients.csv", "snapshots.csv")
FOLDERS = ("cells", "weights", "figures", "microscope")
LOCK = ".lock"
LARGEST = 1 << 16  # bytes of a marker at most


class FolderInUse(RuntimeError):
    """Another process writes to this run folder."""


def study_of(path: Path) -> str | None:
    """The study whose run is in the folder ``path``, according to its marker; None without one.

    Raises
    ------
    InputError, OSError
        if the marker does not name a study, or cannot be read.
    """
    marker = path / MARKER
    try:
        found = read_json(marker, "what kind of run it is", LARGEST)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(f"{error}; choose another folder") from error
    study = found.get("study")
    if not isinstance(study, str):
        raise InputError(
            f"{marker}: expected the name of a study in it, got none; choose another folder"
        )
    return printable(study, 40)


class RunFolder:
    """The folder that ``study`` writes to; created, with its parents, if it does not exist.

    It must be empty, or the folder of an earlier run of the same study, as its file
    ``minidl-run.json`` shows.  As long as this object exists, no other process can use the
    folder: its file ``.lock`` holds an operating-system lock, which ends with the process, however
    that ends.

    Raises
    ------
    FileExistsError
        if it is the folder of another study, or has files of other programs; nothing in it is
        changed.
    NotADirectoryError, PermissionError
        if it is not a folder, cannot be written to, or has a file or a link in place of one of
        its folders; checked now rather than after an hour of training.
    NotAPlainFile
        if it has a folder in place of one of its files.
    FolderInUse
        if another process uses it.
    """

    def __init__(self, path: str | os.PathLike[str], study: str) -> None:
        self.path = Path(path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise NotADirectoryError(
                f"{self.path}: expected a folder for the results, got a file; choose another folder"
            ) from None
        self._expect_own(study)
        try:
            self._lock = try_lock(self.path / LOCK)
        except FileNotFoundError:
            raise PermissionError(
                f"{self.path}: expected a folder for the results, got one that cannot be written "
                "to; choose another folder"
            ) from None
        if self._lock is None:
            raise FolderInUse(
                f"{self.path}: another process is using this folder; wait until it ends, "
                "or choose another --output-dir"
            )
        for name in FILES:
            expect_no_folder(self.path / name)
        for name in FOLDERS:
            if os.path.lexists(self.path / name):
                own_folder(self.path / name)
        if not self._expect_own(study):  # again: it may have been in use until now
            self.write_json(MARKER, {"format": "minidl-run", "study": study})
        inside = [p for p in self.path.iterdir() if p.is_dir() and not p.is_symlink()]
        for folder in (self.path, *inside):
            remove_parts(folder)
        (self.path / TOKEN).unlink(missing_ok=True)  # of a killed process

    def __truediv__(self, name: str) -> Path:
        """The path of the file ``name`` in the folder; a subfolder in it is created.

        Raises
        ------
        ValueError
            if the name leads out of the folder, or is not valid on every system.
        """
        parts = PurePosixPath(name).parts
        if not parts or not all(map(PART.fullmatch, parts)):
            raise ValueError(f"expected the name of a file in {self.path}, got {name!r}")
        path = self.path / name
        if path.parent != self.path:
            own_folder(path.parent)
        return path

    def _expect_own(self, study: str) -> bool:
        """Whether it is marked as a folder of ``study``; False if it is empty."""
        there = [
            path.name
            for path in self.path.iterdir()
            if path.name != LOCK and not is_part(path.name)  # left by a killed process
        ]
        found = study_of(self.path)
        if found == study or not there:
            return found == study
        got = f"a run of {found}" if found else f"a folder with {printable(min(there), 40)} in it"
        raise FileExistsError(
            f"{self.path}: expected an empty folder or a run of {study} (marked by the file "
            f"{MARKER}), got {got}; choose another --output-dir"
        )

    def write_text(self, name: str, text: str) -> None:
        with whole_file(self / name) as file:
            file.write(text)

    def write_json(self, name: str, data: Mapping[str, Any]) -> None:
        """Write ``data`` as JSON, with ``null`` for NaN and infinity, which JSON does not have."""
        text = json.dumps(_finite(data), indent=1, ensure_ascii=False, allow_nan=False)
        self.write_text(name, text + "\n")

    def write_csv(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows with the same keys, which become the header; NaN is an empty cell."""
        if not rows:
            raise ValueError(f"{name}: expected at least one row, got none")
        with whole_file(self / name) as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows({k: "" if v != v else v for k, v in row.items()} for row in rows)

    def write_figure(self, name: str, figure: Figure) -> None:
        """Write ``name.png`` and ``name.svg``."""
        write_figure(self / name, figure)


def _finite(data: Any) -> Any:
    """``data`` with None for every NaN and infinity."""
    if isinstance(data, Mapping):
        return {str(key): _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    return data
