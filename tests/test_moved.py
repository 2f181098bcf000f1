"""The module paths of version 0.1 still work, with a warning that names the new ones."""

import importlib
import subprocess
import sys

import pytest

from minidl._moved import MOVED


@pytest.mark.parametrize("old", MOVED)
def test_the_old_name_has_what_the_new_one_has(old):
    code = (
        "import importlib, warnings\n"
        "import minidl\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        f"    old = importlib.import_module('minidl.{old}')\n"
        f"new = importlib.import_module('minidl.{MOVED[old]}')\n"
        "names = [name for name in vars(new) if not name.startswith('_')]\n"
        "assert names and all(getattr(old, name) is getattr(new, name) for name in names)\n"
        "print([f'{w.category.__name__}: {w.message}' for w in caught])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"DeprecationWarning: minidl.{old} is minidl.{MOVED[old]} now" in done.stdout


def test_a_documented_old_import_still_works():
    with pytest.warns(DeprecationWarning, match=r"minidl\.datasets is minidl\.data now"):
        from minidl.datasets import load
    assert load is importlib.import_module("minidl.data").load


def test_a_name_that_never_existed_is_not_found():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("minidl.nothing")
