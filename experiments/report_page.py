"""The report page of a run made again from its folder, without training.

    python experiments/report_page.py cifar100 docs/results/cifar100

``report.html`` is written into the folder.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import activation_gallery_page
import activation_study_page
import adaptive_activations_page
import cifar10_cnn_page
import cifar100_page
import fashion_mnist_page
from study import run_script

from minidl._printable import printable
from minidl.storage.files import whole_file
from minidl.study.folder import study_of

PAGES = {
    "activation_gallery": activation_gallery_page.page,
    "activation_study": activation_study_page.page,
    "adaptive_activations": adaptive_activations_page.page,
    "cifar10_cnn": cifar10_cnn_page.page,
    "cifar100": cifar100_page.page,
    "fashion_mnist": fashion_mnist_page.page,
}


# What a page that is made from a file of another form ends in.
MISFITS = (
    *(ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError),
    csv.Error,
)


def page_of(study: str, folder: Path) -> str:
    """The page of the run of ``study`` in ``folder``.

    Raises
    ------
    ValueError
        where its files are not those that a run of the study writes.
    OSError
        where one cannot be read.
    """
    found = study_of(folder)
    if found not in (None, study):
        raise ValueError(f"{folder}: expected a run of {study}, got one of {found}")
    try:
        html = PAGES[study](folder).html()
        html.encode()  # half a character cannot be written
    except MISFITS as error:
        raise ValueError(
            f"{folder}: expected summary.json and what lies beside it as a run of {study} writes "
            f"them, got something else ({type(error).__name__}: {printable(str(error), 200)}); "
            f"run experiments/{study}.py again"
        ) from error
    return html


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("study", choices=PAGES, help="which study's run it is")
    parser.add_argument("folder", type=Path, help="the folder with its summary.json")
    chosen = parser.parse_args(arguments)
    text = page_of(chosen.study, chosen.folder)
    with whole_file(chosen.folder / "report.html") as file:
        file.write(text)
    print(f"written to {chosen.folder / 'report.html'}, {len(text.encode()) / 1e6:.1f} MB")


if __name__ == "__main__":
    run_script("report_page", main)
