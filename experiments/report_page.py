"""Rebuild the report of a run from its folder, without training.

    python experiments/report_page.py cifar100 docs/results/cifar100

``report.md`` with its figures and ``report.html`` are written into the folder.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from minidl._printable import printable
from minidl.study import Report, Study
from minidl.study.folder import study_of
from minidl.study.options import InputError
from minidl.study.report import MISFITS
from minidl.study.study import user_errors

STUDIES = sorted(path.parent.name for path in Path(__file__).parent.glob("studies/*/study.py"))


def study(name: str) -> Study:
    """The declaration of the study of that name."""
    found: Study = importlib.import_module(f"studies.{name}").STUDY
    return found


def report_of(name: str, folder: Path) -> Report:
    """The report of the run of that study in ``folder``, whose texts can be rendered and written.

    Raises
    ------
    InputError
        if its files are not those that a run of the study writes.
    OSError
        if one of them cannot be read.
    """
    found = study_of(folder)
    if found not in (None, name):
        raise InputError(f"{folder}: expected a run of {name}, got one of {found}")
    try:
        report = study(name).report_of(folder)
        for text in (report.markdown(), report.html()):
            text.encode()  # half a surrogate pair cannot be written
    except MISFITS as error:
        raise InputError(
            f"{folder}: expected summary.json and the files beside it as a run of {name} writes "
            f"them, got something else ({type(error).__name__}: {printable(str(error), 200)}); "
            f"run experiments/{name}.py again"
        ) from error
    return report


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("study", choices=STUDIES, help="the study that the run is of")
    parser.add_argument("folder", type=Path, help="the folder with its summary.json")
    chosen = parser.parse_args(arguments)
    report_of(chosen.study, chosen.folder).write(chosen.folder)
    size = (chosen.folder / "report.html").stat().st_size
    print(f"written to {chosen.folder / 'report.html'}, {size / 1e6:.1f} MB, and report.md")


if __name__ == "__main__":
    with user_errors("report_page"):
        main()
