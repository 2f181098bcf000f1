"""The report page of a run made again from its folder, without training.

    python experiments/report_page.py cifar100 docs/results/cifar100

``report.html`` is written into the folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import activation_gallery_page
import activation_study_page
import adaptive_activations_page
import cifar10_cnn_page
import cifar100_page
import fashion_mnist_page
from study import run_script

from minidl.files import whole_file

PAGES = {
    "activation_gallery": activation_gallery_page.page,
    "activation_study": activation_study_page.page,
    "adaptive_activations": adaptive_activations_page.page,
    "cifar10_cnn": cifar10_cnn_page.page,
    "cifar100": cifar100_page.page,
    "fashion_mnist": fashion_mnist_page.page,
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("study", choices=PAGES, help="which study's run it is")
    parser.add_argument("folder", type=Path, help="the folder with its summary.json")
    chosen = parser.parse_args(arguments)
    text = PAGES[chosen.study](chosen.folder).html()
    with whole_file(chosen.folder / "report.html") as file:
        file.write(text)
    print(f"written to {chosen.folder / 'report.html'}, {len(text.encode()) / 1e6:.1f} MB")


if __name__ == "__main__":
    run_script("report_page", main)
