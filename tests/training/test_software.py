"""What a training run was computed with."""

from __future__ import annotations

import platform

import numpy as np

from minidl.backend.threads import using_threads
from minidl.loops import engine
from minidl.training.software import Software, distinct


def test_versions_kernels_and_threads_are_known():
    now = Software.now()
    assert now == Software.now()
    assert now.parts["Python"] == platform.python_version()
    assert now.parts["NumPy"] == np.__version__
    assert now.parts["loops"] == engine()
    assert now.parts["minidl"].startswith("0.") and "source" in now.parts["minidl"]
    assert all(isinstance(value, str) and value for value in now.parts.values())
    with using_threads(1):
        assert Software.now().parts["BLAS threads"] == "1"


def test_only_what_differs_is_told():
    one, other = Software({"a": "1", "b": "2"}), Software({"a": "1", "b": "3\n", "c": "4"})
    assert one.difference(other) == r"b 2 (3\n), c none (4)"
    assert one.difference(one) == ""
    assert distinct([one, other, one, other]) == [one, other]
