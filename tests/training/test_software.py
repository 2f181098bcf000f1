"""The software that a training run was computed with."""

from __future__ import annotations

import platform

import numpy as np
import pytest

from minidl.backend.threads import using_threads
from minidl.fast import engine
from minidl.training.software import Software, distinct, source_of


def test_versions_kernels_and_threads_are_known():
    now = Software.now()
    assert now == Software.now()
    assert now.parts["Python"] == platform.python_version()
    assert now.parts["NumPy"] == np.__version__
    assert now.parts["loops"] == engine()
    assert now.parts["minidl"] == source_of("minidl") != source_of("minidl.training")
    assert all(isinstance(value, str) and value for value in now.parts.values())
    for threads in (1, 2):
        with using_threads(threads):
            assert Software.now().parts["BLAS threads"] == str(threads)


def test_only_differences_are_reported():
    one, other = Software({"a": "1", "b": "2"}), Software({"a": "1", "b": "3\n", "c": "4"})
    assert one.difference(other) == r"b 2 (3\n), c none (4)"
    assert one.difference(one) == ""
    assert distinct([one, other, one, other]) == [one, other]


def test_every_file_of_a_package_or_a_module_counts(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    for package, text in (("first_copy", ""), ("second_copy", ""), ("changed_copy", "# more\n")):
        (tmp_path / package / "inner").mkdir(parents=True)
        (tmp_path / package / "__init__.py").write_text("")
        (tmp_path / package / "inner/part.py").write_text(text)
    (tmp_path / "without_init").mkdir()
    (tmp_path / "without_init/part.py").write_text("")
    (tmp_path / "of_one_file.py").write_text("print\n")
    first, second, *others = map(
        source_of, ("first_copy", "second_copy", "changed_copy", "without_init", "of_one_file")
    )
    assert first == second
    assert first.startswith("source ")
    assert len({first, *others}) == 4
    with pytest.raises(ModuleNotFoundError, match="of_no_kind"):
        source_of("of_no_kind")
