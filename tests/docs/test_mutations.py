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
from docs_text import DOCS, GUIDE, ROOT, blocks, name

CHAPTERS = [page for page in GUIDE if page.name != "index.md"]


class Mutation(NamedTuple):
    """A change to one file, the test to run afterwards, and lines of its output."""

    page: Path
    path: str
    old: str
    new: str
    command: list[str]
    promised: str

    def apply(self, root: Path) -> None:
        file = root / self.path
        text = file.read_text("utf-8")
        assert text.count(self.old) == 1, f"{self.path}: expected exactly one of:\n{self.old}"
        file.write_text(text.replace(self.old, self.new), "utf-8")

    def run(self, root: Path) -> subprocess.CompletedProcess[str]:
        """Run the command in ``root``; its copy of the package precedes any installed one."""
        assert self.command[0] == "python"
        environment = os.environ | {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            [sys.executable, *self.command[1:], "-p", "no:cacheprovider"],
            cwd=root,
            env=environment,
            text=True,
            encoding="utf-8",
            capture_output=True,
        )

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
            found.append(
                Mutation(
                    page,
                    head.removeprefix("--- "),
                    "".join(f"{line[1:]}\n" for line in lines if line[:1] != "+"),
                    "".join(f"{line[1:]}\n" for line in lines if line[:1] != "-"),
                    shlex.split(command.text),
                    promised.text,
                )
            )
    return found


ALL = [mutation for page in CHAPTERS for mutation in mutations(page)]


@pytest.fixture
def copy(tmp_path):
    """A copy of the package with its tests, to plant faults in."""
    for folder in ("minidl", "tests", "tools", "experiments"):
        half_written = shutil.ignore_patterns(
            "*.pyc.*", "*.tmp.*"
        )  # by the tests that run beside this one
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=half_written)
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    return tmp_path


@pytest.mark.parametrize("mutation", ALL, ids=lambda m: f"{name(m.page)}: {m.path}")
def test_the_named_test_fails_as_promised(mutation, copy):
    mutation.apply(copy)
    result = mutation.run(copy)
    assert result.returncode == 1, result.stdout + result.stderr
    assert mutation.lacks(result.stdout) == [], result.stdout


def test_every_chapter_has_one():
    assert CHAPTERS
    assert {mutation.page for mutation in ALL} == set(CHAPTERS)


def test_without_the_change_nothing_fails_and_the_promised_lines_are_missing(copy):
    result = ALL[0].run(copy)
    assert result.returncode == 0, result.stdout + result.stderr
    assert ALL[0].lacks(result.stdout) == ALL[0].promised.splitlines()


def test_the_commands_are_pytest_and_the_files_exist():
    for mutation in ALL:
        assert mutation.command[:3] == ["python", "-m", "pytest"]
        assert (DOCS.parent / mutation.path).is_file()
