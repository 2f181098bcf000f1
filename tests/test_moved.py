"""The module paths of version 0.1 still work, with a warning that names the new ones."""

import importlib
import subprocess
import sys

import pytest

from minidl._moved import MOVED

CODE = """
import importlib, warnings
from minidl._moved import MOVED
for name, new_name in MOVED.items():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        old = importlib.import_module(f"minidl.{name}")
    new = importlib.import_module(f"minidl.{new_name}")
    names = [name for name in vars(new) if not name.startswith("_")]
    assert names and all(getattr(old, name) is getattr(new, name) for name in names), old
    print([f"{w.category.__name__}: {w.message}" for w in caught])
"""


def test_the_old_names_have_what_the_new_ones_have():
    """In a process that has imported none of them."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    for (old, new), told in zip(MOVED.items(), done.stdout.splitlines(), strict=True):
        assert f"DeprecationWarning: minidl.{old} is minidl.{new} now" in told


def test_a_documented_old_import_still_works():
    with pytest.warns(DeprecationWarning, match=r"minidl\.datasets is minidl\.data now"):
        from minidl.datasets import load
    assert load is importlib.import_module("minidl.data").load


def test_a_name_that_never_existed_is_not_found():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("minidl.nothing")
