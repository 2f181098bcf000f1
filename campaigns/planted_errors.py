"""Plant one error after another in the source of minidl, and see whether the tests catch it.

    python campaigns/planted_errors.py                  # all of them: half an hour on two cores
    python campaigns/planted_errors.py losses layers/   # those whose path contains one of these
    python campaigns/planted_errors.py --list

``planted_errors.txt`` is the list: ``@`` a file, ``-`` a text that is in it once, ``+`` what is put
in its place, such as a wrong sign in a backward pass, or a limit that is not checked.  An error is
planted in a copy of the repository, where first the tests of its area run, and then, if none of
them fails, all that ``pytest`` runs by default.  The exit status is 1 if no test caught an error,
or if its text is no longer there.

``tests/gradcheck/planted.py`` is the list of errors for the gradient checker; this one is for
everything around it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
LIST = Path(__file__).with_suffix(".txt")

# The tests that run first, by the first part of the path; then everything else.
AREAS = {
    "layers": [
        "tests/test_gradients.py",
        "tests/layers",
        "tests/test_copies.py",
        "tests/gradcheck",
    ],
    "activations": ["tests/activations", "tests/test_gradients.py"],
    "losses.py": ["tests/test_losses.py", "tests/fast/test_twins.py"],
    "initializers.py": ["tests/test_initializers.py"],
    "_predict.py": ["tests/test_predict.py"],
    "optimizers": ["tests/test_optimizers.py", "tests/test_golden.py"],
    "training": ["tests/training"],
    "network.py": ["tests/test_network.py", "tests/test_copies.py"],
    "backend": ["tests/backend", "tests/training/test_one_process.py"],
    "gpu": ["tests/gpu", "tests/training/test_one_process.py"],
    "fast": ["tests/fast"],
    "kernel.py": ["tests/fast", "tests/test_optimizers.py"],
    "_rule_text.py": ["tests/fast"],
    "metrics.py": ["tests/test_metrics.py"],
    "data": ["tests/data"],
    "storage": ["tests/storage", "tests/test_network.py", "tests/training/test_checkpoint.py"],
    "study": ["tests/study"],
    "inspection.py": ["tests/test_inspection.py"],
    "propagation": ["tests/propagation"],
    "models": ["tests/models"],
}
LEFT_OUT = {".git", ".venv", "build", "runs", "__pycache__"}


class Planted(NamedTuple):
    """One error."""

    path: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.path}: {self.old}  →  {self.new}"

    def count(self, root: Path) -> int:
        """How often the text to change is there."""
        file = root / "minidl" / self.path
        return file.read_text("utf-8").count(self.old) if file.is_file() else 0

    def caught(self, root: Path, *stages: list[str]) -> str | None:
        """The first test that fails in the copy ``root`` with the error planted; None if none.

        ``stages`` are tests to run one after the other, all that run by default being ``[]``.
        """
        file = root / "minidl" / self.path
        right = file.read_text("utf-8")
        file.write_text(right.replace(self.old, self.new), "utf-8")
        try:
            return next(filter(None, (_failure(root, tests) for tests in stages)), None)
        finally:
            file.write_text(right, "utf-8")


def _failure(root: Path, tests: list[str]) -> str | None:
    """The line of the first test that fails, among ``tests`` or all that run by default."""
    environment = os.environ | {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    command += ["--ignore=tests/campaigns/test_planted_errors.py"]  # which misses the right text
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return None
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return lines[0].split(" - ")[0] if lines else f"exit status {done.returncode}"


def planted(words: list[str]) -> Iterator[Planted]:
    """Each error of the list whose path contains one of the words; all without words."""
    path = old = ""
    for line in LIST.read_text("utf-8").splitlines():
        mark, text = line[:2], line[2:]
        if mark == "@ ":
            path = text
        elif mark == "- ":
            old = text
        elif mark == "+ " and (not words or any(word in path for word in words)):
            yield Planted(path, old, text)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("words", nargs="*", help="parts of the paths of the files to change")
    parser.add_argument("--jobs", type=int, default=2, help="copies to test side by side")
    parser.add_argument("--list", action="store_true", help="list the errors, and test nothing")
    options = parser.parse_args()
    errors = list(planted(options.words))
    moved = [error for error in errors if error.count(ROOT) != 1]
    for error in moved:
        print(f"NOT THERE {error}")
    errors = [error for error in errors if error not in moved]
    if options.list:
        print(*errors, f"{len(errors)} errors", sep="\n")
        return bool(moved)
    missed, start = [], time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(options.jobs):
            copy = Path(scratch) / str(number)
            shutil.copytree(ROOT, copy, ignore=lambda _, names: LEFT_OUT & {*names}, symlinks=True)
            copies.put(copy)

        def try_out(error: Planted) -> str | None:
            copy = copies.get()
            try:
                return error.caught(copy, AREAS[error.path.partition("/")[0]], [])
            finally:
                copies.put(copy)

        with ThreadPoolExecutor(options.jobs) as pool:
            for error, failure in zip(errors, pool.map(try_out, errors), strict=True):
                print(
                    f"{'caught' if failure else 'MISSED':<8}{error}\n        {failure or ''}",
                    flush=True,
                )
                missed += [] if failure else [error]
    caught = len(errors) - len(missed)
    print(f"{caught} of {len(errors)} errors caught in {time.monotonic() - start:.0f} s")
    for error in missed:
        print(f"MISSED  {error}")
    return bool(missed or moved)


if __name__ == "__main__":
    sys.exit(main())
