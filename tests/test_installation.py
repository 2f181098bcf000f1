"""``pip install -e .`` makes minidl importable from every folder, also the one above the clone.

And the extras that messages and pages tell to install are there.
"""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXTRA = re.compile(r"'minidl\[(\w+)\]'")
BUILD = "import setuptools.build_meta as b, sys; b.build_editable(sys.argv[1])"
USE = """
import site, sys
site.addsitedir(sys.argv[1])  # before the site-packages of this Python, left out by -S until now,
site.main()  # which may hold an editable installation of their own
import minidl
print(minidl.Dense.__name__, minidl.__file__)
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A copy of what is installed, in a folder of the package's own name."""
    clone = tmp_path_factory.mktemp("parent") / "minidl"
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "minidl", clone / "minidl", ignore=unwanted)
    for name in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clone)
    return clone


@pytest.fixture(scope="module")
def installed(clone, tmp_path_factory):
    """The folder in which the editable installation of the clone lies, as pip would put it."""
    pytest.importorskip("setuptools", "70.1")  # from which on it makes wheels by itself
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-c", BUILD, str(folder)]
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder)
    return folder


def test_the_clones_own_name_does_not_hide_it(clone, installed):
    """As in a notebook, whose first entry of sys.path is the folder that it was started in."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    for start in (clone.parent, clone, installed):
        command = [sys.executable, "-S", "-c", USE, str(installed)]
        done = subprocess.run(
            command, cwd=start, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == ["Dense", str(clone / "minidl" / "__init__.py")]


def test_each_extra_that_is_named_is_there():
    texts = [*(ROOT / "minidl").rglob("*.py"), *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    named = {name for text in texts for name in EXTRA.findall(text.read_text("utf-8"))}
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    assert {"fast", "weights"} <= named <= set(settings["options.extras_require"])
