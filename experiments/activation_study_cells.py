"""Finished cells on disk: one file each, kept from one start of the command to the next."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from typing import Any

from activation_study_training import Cell

from minidl.reporting import RunFolder

OPTIONS = "cells/options.json"


class Cells:
    """The cells of one folder, all of the same options.

    Raises
    ------
    ValueError
        where the folder holds cells of other options, with the difference.
    """

    def __init__(self, folder: RunFolder, options: Mapping[str, Any], fresh: bool = False) -> None:
        self.folder = folder
        if fresh:
            shutil.rmtree(folder.path / "cells", ignore_errors=True)
        path = folder / OPTIONS
        if path.exists():
            _expect_same(json.loads(path.read_text(encoding="utf-8")), options, folder)
        else:
            folder.write_json(OPTIONS, options)

    def read(self, cell: Cell) -> dict[str, Any] | None:
        """The cell, or ``None`` where it is not done."""
        path = self.folder / f"cells/{cell}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def write(self, cell: Cell, found: Mapping[str, Any]) -> None:
        """Keep the cell; its file is whole or not there."""
        self.folder.write_json(f"cells/{cell}.json", found)


def _expect_same(kept: dict[str, Any], options: Mapping[str, Any], folder: RunFolder) -> None:
    names = sorted({*kept, *options})
    other = [n for n in names if kept.get(n) != options.get(n)]
    if other:
        expected, got = (
            ", ".join(f"{n} {source.get(n)}" for n in other) for source in (kept, options)
        )
        raise ValueError(
            f"{folder.path}: expected {expected}, as in the cells that lie there, got {got}; "
            "choose another --output-dir, or start over with --fresh"
        )
