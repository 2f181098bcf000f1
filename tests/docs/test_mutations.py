"""Each fault that the guide asks readers to plant is found, with the message it promises."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from docs_text import GUIDE, ROOT, blocks, name

CHAPTERS = [page for page in GUIDE if page.name != "index.md"]


class Mutation(NamedTuple):
    """A change to one file, the test to run afterwards, and lines of its output."""

    page: Path
    path: str
    old: str
    new: str
    test: str
    promised: str

    def lacks(self, output: str) -> list[str]:
        """The promised lines that are not in the output, in order; "…" matches anything."""
        missing = []
        for line in self.promised.splitlines():
            words = [".*".join(map(re.escape, word.split("…"))) for word in line.split()]
            found = re.search(r"\s+".join(words), output)
            if found is None:
                missing.append(line)
            else:
                output = output[found.end() :]
        return missing


def mutations(page: Path) -> list[Mutation]:
    """A page's mutations: a diff block, the command in an sh block, its output in a text block."""
    found = []
    all_blocks = blocks(page)
    for place, block in enumerate(all_blocks):
        if block.kind == "diff":
            head, *lines = block.text.splitlines()
            command, promised = all_blocks[place + 1 : place + 3]
            assert (command.kind, promised.kind) == ("sh", "text"), f"{page}, line {block.line}"
            old, new = (
                "".join(f"{line[1:]}\n" for line in lines if line[:1] != sign) for sign in "+-"
            )
            pytest_, test = shlex.split(command.text)[:-1], shlex.split(command.text)[-1]
            assert pytest_ == ["python", "-m", "pytest", "-q"], f"{page}, line {command.line}"
            path = head.removeprefix("--- ")
            found.append(Mutation(page, path, old, new, test, promised.text))
    return found


ALL = [mutation for page in CHAPTERS for mutation in mutations(page)]


def test_every_chapter_has_a_fault_to_plant_in_lines_that_are_there():
    assert CHAPTERS
    assert {mutation.page for mutation in ALL} == set(CHAPTERS)
    for mutation in ALL:
        text = (ROOT / mutation.path).read_text("utf-8")
        assert text.count(mutation.old) == 1, f"{mutation.path}: expected once:\n{mutation.old}"


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the package with its tests, to plant faults in."""
    root = tmp_path_factory.mktemp("copy")
    # Not what the tests that run beside this one have written half.
    half_written = shutil.ignore_patterns("*.pyc.*", "*.tmp.*")
    for folder in ("minidl", "tests", "tools", "experiments"):
        shutil.copytree(ROOT / folder, root / folder, ignore=half_written)
    shutil.copy(ROOT / "setup.cfg", root)
    return root


def run(root: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    """Run the tests in ``root``, whose package precedes any installed one."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"},
        text=True,
        encoding="utf-8",
        capture_output=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("mutation", ALL, ids=lambda m: f"{name(m.page)}: {m.path}")
def test_the_named_test_fails_as_promised(mutation, copy):
    file = copy / mutation.path
    text = file.read_text("utf-8")
    file.write_text(text.replace(mutation.old, mutation.new), "utf-8")
    try:
        result = run(copy, mutation.test)
    finally:
        file.write_text(text, "utf-8")
    assert result.returncode == 1, result.stdout + result.stderr
    assert mutation.lacks(result.stdout) == [], result.stdout


@pytest.mark.slow
def test_without_the_changes_nothing_fails_and_the_promised_lines_are_missing(copy):
    result = run(copy, *dict.fromkeys(mutation.test for mutation in ALL))
    assert result.returncode == 0, result.stdout + result.stderr
    for mutation in ALL:
        assert mutation.lacks(result.stdout) == mutation.promised.splitlines()
