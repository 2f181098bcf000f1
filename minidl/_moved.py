"""Module paths of version 0.1 that are others now: they work once more, with a warning."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Any

MOVED = {
    "augmentation": "data",
    "cells": "study.cells",
    "checkpoint": "training.checkpoint",
    "datasets": "data",
    "datasets.dataset": "data.dataset",
    "datasets.standin": "data.standin",
    "early_stopping": "training",
    "examples": "data.examples",
    "parallel": "backend.threads",
    "recording": "study.recording",
    "reporting": "study",
    "reporting.figures": "study.figures",
    "schedules": "training",
    "step": "training.step",
}

RENAMED = {"predicted_labels": "predict_labels"}  # in ``minidl`` itself


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Makes a module of the old name whose contents are those of the new one."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        package, _, module = name.partition(".")
        if package != "minidl" or module not in MOVED:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def exec_module(self, module: ModuleType) -> None:
        new = f"minidl.{MOVED[module.__name__.partition('.')[2]]}"
        warnings.warn(
            f"{module.__name__} is {new} now; the old name goes with version 0.3",
            DeprecationWarning,
            stacklevel=2,
        )

        def contents(name: str) -> Any:
            return getattr(importlib.import_module(new), name)

        module.__getattr__ = contents  # type: ignore[method-assign]


def renamed(name: str) -> Any:
    """What ``minidl`` has under another name now."""
    if name not in RENAMED:
        raise AttributeError(f"module 'minidl' has no attribute {name!r}")
    new = RENAMED[name]
    warnings.warn(
        f"minidl.{name} is minidl.{new} now; the old name goes with version 0.3",
        DeprecationWarning,
        stacklevel=2,
    )
    return getattr(importlib.import_module("minidl"), new)


def install() -> None:
    """Let imports of the old names find the new ones."""
    sys.meta_path.append(_Finder())
