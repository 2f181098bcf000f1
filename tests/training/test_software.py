"""The software that a training run was computed with."""

from __future__ import annotations

import ast
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minidl
from minidl.backend.threads import using_threads
from minidl.loops import engine
from minidl.training.software import Software, distinct, source_of


def test_versions_kernels_and_threads_are_known():
    now = Software.now()
    assert now == Software.now()
    assert now.parts["Python"] == platform.python_version()
    assert now.parts["NumPy"] == np.__version__
    assert now.parts["loops"] == engine()
    assert now.parts["minidl"].startswith("source ")
    assert all(isinstance(value, str) and value for value in now.parts.values())
    with using_threads(1):
        assert Software.now().parts["BLAS threads"] == "1"


def test_only_differences_are_reported():
    one, other = Software({"a": "1", "b": "2"}), Software({"a": "1", "b": "3\n", "c": "4"})
    assert one.difference(other) == r"b 2 (3\n), c none (4)"
    assert one.difference(one) == ""
    assert distinct([one, other, one, other]) == [one, other]


def test_all_source_of_minidl_counts(tmp_path):
    """Not only its training package, as once, after the file that finds the source had moved."""
    copy = tmp_path / "minidl"
    shutil.copytree(Path(minidl.__file__).parent, copy, ignore=shutil.ignore_patterns("*.pyc"))

    def source() -> str:
        command = "from minidl.training.software import Software; print(Software.now().parts)"
        done = subprocess.run(
            [sys.executable, "-c", command],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        return ast.literal_eval(done.stdout)["minidl"]

    before = source()
    assert before == Software.now().parts["minidl"]
    with (copy / "layers" / "dense.py").open("a") as file:
        file.write("# one more line\n")
    assert source() != before


def test_the_source_of_a_package_a_module_and_none(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "of_one_file.py").write_text("print\n")
    (tmp_path / "of_a_folder").mkdir()
    (tmp_path / "of_a_folder/part.py").write_text("")
    one, several = source_of("of_one_file"), source_of("of_a_folder")
    assert one.startswith("source ") and several.startswith("source ")
    assert one != several
    with pytest.raises(ModuleNotFoundError, match="of_no_kind"):
        source_of("of_no_kind")
