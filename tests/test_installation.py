"""An installed clone (``pip install -e .``) or package works from every folder.

The extras that messages and pages tell users to install exist.
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

import minidl.run

ROOT = Path(__file__).parents[1]
EXTRA = re.compile(r"'minidl\[(\w+)\]'")
BUILD = "import setuptools.build_meta as b, sys; getattr(b, sys.argv[2])(sys.argv[1])"
USE = """
import site, sys
site.addsitedir(sys.argv[1])  # before the site-packages of this Python, left out by -S until now,
site.main()  # which may hold an editable installation of their own
import minidl
print(minidl.Dense.__name__, minidl.__file__)
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A copy of the files to install, in a folder with the package's own name."""
    clone = tmp_path_factory.mktemp("parent") / "minidl"
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "minidl", clone / "minidl", ignore=unwanted)
    for name in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clone)
    return clone


def unpacked(clone, folder, build):
    """``folder``, with the files that pip would install there."""
    pytest.importorskip("setuptools", "77")
    pytest.importorskip("setuptools_scm")
    command = [sys.executable, "-c", BUILD, str(folder), build]
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def installed(clone, tmp_path_factory):
    """The folder of the clone's editable installation."""
    return unpacked(clone, tmp_path_factory.mktemp("installed"), "build_editable")


@pytest.mark.slow
def test_the_clones_own_name_does_not_hide_it(clone, installed):
    """As in a notebook, where the first entry of sys.path is the folder it was started in."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    for start in (clone.parent, clone, installed):
        command = [sys.executable, "-S", "-c", USE, str(installed)]
        done = subprocess.run(
            command, cwd=start, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == ["Dense", str(clone / "minidl" / "__init__.py")]


def built(folder):
    """The version in the name of the package built there."""
    (metadata,) = folder.glob("*.dist-info")
    return metadata.name.split("-")[1].removesuffix(".dist")


@pytest.mark.slow
def test_the_version_is_that_of_the_tag(clone, tmp_path):
    """Without git, it is that of the latest release in the changelog."""
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    release = re.findall(r"^## (\S+)$", changes, re.MULTILINE)[0]  # "(unreleased)" is none
    (tmp_path / "without").mkdir()
    assert built(unpacked(clone, tmp_path / "without", "build_wheel")) == release
    tagged = shutil.copytree(clone, tmp_path / "tagged")
    who = ("-c", "user.name=tests", "-c", "user.email=tests@localhost")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"], ["tag", "v9.8.7"]):
        subprocess.run(["git", *who, *command], cwd=tagged, check=True)
    (tmp_path / "with").mkdir()
    assert built(unpacked(tagged, tmp_path / "with", "build_wheel")) == "9.8.7"


def test_each_extra_that_is_named_exists():
    texts = [*(ROOT / "minidl").rglob("*.py"), *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    named = {name for text in texts for name in EXTRA.findall(text.read_text("utf-8"))}
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    assert {"fast", "weights"} <= named <= set(settings["options.extras_require"])


@pytest.mark.slow
def test_the_package_alone_is_complete_and_says_where_the_experiments_are(clone, tmp_path):
    """As after ``pip install "minidl @ git+…"``."""
    folder = unpacked(clone, tmp_path, "build_wheel")
    files = (clone / "minidl").rglob("*")
    source = {p.relative_to(clone) for p in files if p.is_file() and p.suffix != ".pyc"}
    assert {p.relative_to(folder) for p in (folder / "minidl").rglob("*") if p.is_file()} == source
    command = [sys.executable, "-m", "minidl.run", "cifar100"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("minidl.run: expected the experiments beside the package")
    assert "clone the repository" in done.stderr


def run(*arguments, cwd):
    command = [sys.executable, "-m", "minidl.run", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_a_study_runs_by_its_name_from_any_folder(tmp_path):
    done = run("fashion_mnist", "--data-dir", "nowhere", "--output-dir", "out", cwd=tmp_path)
    assert done.stderr.startswith("fashion_mnist: ")  # printed by the study itself
    assert "nowhere" in done.stderr


def test_an_unknown_name_gets_a_list_of_the_studies(capsys):
    with pytest.raises(SystemExit, match=r"NAME is one of activation_gallery, .*, got 'cifar'$"):
        minidl.run.main(["cifar"])
    for arguments in ([], ["--help"]):
        minidl.run.main(arguments)
        assert "cifar100" in capsys.readouterr().out
