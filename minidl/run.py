"""Run a study by name, from any folder: ``python -m minidl.run cifar100 --epochs 2``.

The experiments belong to the repository, not to the package: this finds them in the clone from
which minidl was installed with ``pip install -e .``, and says so if there is none.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

EXPERIMENTS = Path(__file__).parents[1] / "experiments"  # of a clone
ALONE = (
    "minidl.run: expected the experiments beside the package, got an installation of the package "
    "alone; clone the repository and, in the clone, `pip install -e '.[fast]'`"
)


def main(arguments: Sequence[str]) -> None:
    """Run the script of the study named by the first argument, with the other arguments."""
    if not (EXPERIMENTS / "studies" / "cifar100").is_dir():
        sys.exit(ALONE)
    names = sorted(path.stem for path in EXPERIMENTS.glob("*.py"))
    usage = f"python -m minidl.run NAME [options]; NAME is one of {', '.join(names)}"
    name, *options = arguments or ["--help"]
    if name in ("-h", "--help"):
        print(f"usage: {usage}\n`python -m minidl.run NAME --help` lists its options")
        return
    if name not in names:
        sys.exit(f"minidl.run: expected {usage}, got {name!r}")
    script = str(EXPERIMENTS / f"{name}.py")
    sys.argv = [script, *options]
    sys.path.insert(0, str(EXPERIMENTS))
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
