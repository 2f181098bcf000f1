"""One training step of the small convolutional networks in minidl and in PyTorch.

    python benchmarks/conv_training.py [--interpreter PYTHON ...]

The networks are the two of the published CIFAR-10 studies, and a small ResNet in two widths. A step
draws the batch from uint8 images and does forward, loss, backward and an Adam update. Each library
runs in a process of its own, and they take turns. Before the timing starts, they train ten steps
from the same weights and must reach the same loss; after each timing, their optimizers must have
counted every step.
"""

from __future__ import annotations

import argparse
import functools
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from peers import minidl_peer
from processes import check_losses, start_all, time_round, write_problem

from minidl import Conv2D, Dense, Flatten, MaxPool2D, Network
from minidl.backend.threads import processors
from minidl.data import standin
from minidl.study import RunFolder, text_table
from minidl.study.environment import hardware, today, versions
from minidl.study.options import new_parser

PEERS = (
    *("minidl", "minidl with MKL", "minidl, BLAS spins 2^19"),
    *("PyTorch eager", "PyTorch fused Adam"),
)
# Relative, on the loss before and after ten steps on one batch; see dense_training.py.
TOLERANCE_BEFORE, TOLERANCE_AFTER = 1e-5, 0.08

# The activation functions are those of the problem.
PLAIN = {
    "conv 3x3 to 32, dense 128, 10": lambda: Network(
        [Conv2D(3, 32, 3), MaxPool2D(2), Flatten(), Dense(32 * 15 * 15, 128), Dense(128, 10)],
        (3, 32, 32),
    ),
    "conv 5x5 to 6, to 16, dense 120, 84, 10": lambda: Network(
        [
            *[Conv2D(3, 6, 5), MaxPool2D(2), Conv2D(6, 16, 5), MaxPool2D(2)],
            *[Flatten(), Dense(16 * 5 * 5, 120), Dense(120, 84), Dense(84, 10)],
        ],
        (3, 32, 32),
    ),
}
RESIDUAL = {
    f"ResNet of three blocks, {width}-{2 * width}-{4 * width}": functools.partial(
        lambda width: Network(list(minidl_peer.residual(width, "linear")), (3, 32, 32)), width
    )
    for width in (16, 64)
}
NETWORKS = PLAIN | RESIDUAL


def compare(
    name: str,
    network: Network,
    kind: str,
    activation: str,
    chosen: argparse.Namespace,
    images: Any,
    labels: Any,
    after: float | None = TOLERANCE_AFTER,
) -> dict[str, Any]:
    """Time all peers on one network, round by round; for ``after`` see :func:`check_losses`."""
    with tempfile.TemporaryDirectory() as folder:
        problem = Path(folder) / "problem.npz"
        write_problem(problem, images, labels, network, activation, chosen.batch_size, kind)
        workers, missing = start_all(PEERS, chosen.interpreter, problem, chosen.threads)
        try:
            check_losses(workers, TOLERANCE_BEFORE, after)
            for worker in workers:
                worker.time(chosen.steps)  # warm-up
            times: dict[str, list[float]] = {worker.name: [] for worker in workers}
            for number in range(chosen.rounds):
                time_round(workers, number, chosen.steps, times)
        finally:
            for worker in workers:
                worker.close()
    return {
        "network": name,
        "activation": activation,
        "parameters": network.theta.size,
        "seconds": times,
        "loss_after_ten_steps": {worker.name: worker.told["loss"] for worker in workers},
        "peak_memory": {worker.name: worker.peak_memory for worker in workers},
        "versions": {worker.name: worker.told["versions"] for worker in workers},
        "missing": missing,
    }


def table(result: dict[str, Any]) -> str:
    """Medians with quartiles, and minidl's time relative to each peer's, round by round."""
    ours = np.array(result["seconds"]["minidl"])
    rows = []
    for name, seconds in sorted(result["seconds"].items(), key=lambda item: np.median(item[1])):
        low, middle, high = 1e3 * np.percentile(seconds, (25, 50, 75))
        ratio = np.median(ours / np.array(seconds))
        memory = result["peak_memory"][name] / 1e6
        rows.append(
            [name, f"{middle:.2f}", f"{low:.2f}–{high:.2f}", f"{ratio:.2f}", f"{memory:.0f}"]
        )
    head = ["", "ms per step", "quartiles", "minidl / peer", "peak MB"]
    title = f"{result['network']}, {result['activation']}"
    lines = [title, text_table(head, rows)]
    lines += [f"not measured: {name} ({why})" for name, why in result["missing"].items()]
    return "\n".join([*lines, ""])


def add_options(add: Any, rounds: int, steps: int) -> None:
    """Add the options that all comparisons of image networks share."""
    add("--batch-size", type=int, default=64)
    add("--rounds", type=int, default=rounds, help="timed rounds; each peer runs once per round")
    add("--steps", type=int, default=steps, help="steps per round")
    add("--threads", type=int, default=processors(), help="threads of every library")
    add("--interpreter", nargs="+", default=[sys.executable], metavar="PYTHON")
    add("--output-dir", type=Path, default=Path("runs/benchmark"))


def begin(chosen: argparse.Namespace, images: int) -> tuple[RunFolder, str, Any, Any]:
    """Print data and machine; return the folder for the results, the data and their title."""
    folder = RunFolder(chosen.output_dir, "benchmark")
    data = standin.generate(train=images, test=1)
    print(
        f"{data.title}; {hardware()}; {chosen.threads} threads; {chosen.rounds} rounds; {today()}\n"
    )
    labels = data.train.targets % 10  # ten classes, as in the studies
    return folder, data.title, data.train.inputs, labels


def write(
    folder: RunFolder,
    name: str,
    title: str,
    chosen: argparse.Namespace,
    results: list[dict[str, Any]],
    text: Callable[[dict[str, Any]], str],
) -> None:
    """Write ``name.json`` with all figures, and ``name.txt`` with the text of each result."""
    everything = {
        "data": title,
        "hardware": hardware(),
        "versions": versions(),
        "threads": chosen.threads,
        "rounds": chosen.rounds,
        "batch_size": chosen.batch_size,
        "date": today(),
        "results": results,
    }
    folder.write_json(f"{name}.json", everything)
    folder.write_text(f"{name}.txt", "\n".join(map(text, results)))
    print(f"written to {folder.path}")


def main() -> None:
    parser = new_parser(__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--activations", nargs="+", default=["relu"], choices=["relu", "sigmoid"])
    add_options(add, rounds=15, steps=20)
    chosen = parser.parse_args()
    folder, title, images, labels = begin(chosen, 8192)
    results: list[dict[str, Any]] = []
    for name, make in NETWORKS.items():
        kind = "residual" if name in RESIDUAL else "plain"
        for activation in chosen.activations:
            results.append(compare(name, make(), kind, activation, chosen, images, labels))
            print(table(results[-1]), flush=True)
    write(folder, "conv_training", title, chosen, results, table)


if __name__ == "__main__":
    main()
