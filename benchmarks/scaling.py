"""How a training step scales: time and memory by width, depth, batch size and threads.

    python benchmarks/scaling.py [--interpreter PYTHON ...]

minidl is compared with PyTorch with its fused Adam, if that is installed. The network is the
published one, 3072-512-512-512-512-100 with ReLU, Adam and a batch size of 64, changed in one
respect at a time. Both start from the same weights and must have the same loss there; after each
timing, their optimizers must have counted every step.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from processes import check_losses, dense, start_all, time_round, write_problem

from minidl.backend.threads import processors
from minidl.data import standin
from minidl.study import RunFolder, text_table
from minidl.study.environment import hardware, today, versions

PEERS = ("minidl", "PyTorch fused Adam")
COLOURS = {"minidl": "#d55e00", "PyTorch fused Adam": "#56697d"}
WIDTHS = (128, 256, 512, 1024, 2048, 4096)
DEPTHS = (2, 4, 8, 16, 32, 64)  # hidden layers
BATCHES = (1, 4, 16, 64, 256, 1024, 4096)
# Relative, on the loss before the first step. The loss after ten steps is not compared: in wide and
# deep networks the steps are so large that it depends on the order of each sum, and on a single
# example it is 0.
TOLERANCE_BEFORE = 1e-4


def cases(threads: int) -> dict[str, list[tuple[int, dict[str, int]]]]:
    """The cases by what is varied in them: each value with its complete case."""
    usual = {"width": 512, "depth": 4, "batch size": 64, "threads": threads}
    counts = sorted({1, threads} | {2**i for i in range(8) if 2**i < threads})
    varied = {"width": WIDTHS, "depth": DEPTHS, "batch size": BATCHES, "threads": counts}
    return {
        name: [(value, usual | {name: value}) for value in values]
        for name, values in varied.items()
    }


def measure(case: dict[str, int], data: Any, chosen: argparse.Namespace) -> dict[str, Any]:
    """Median milliseconds per step and peak memory in MB of each peer."""
    sizes = [3072, *[case["width"]] * case["depth"], 100]
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        problem = Path(folder) / "problem.npz"
        images = data.train.inputs.reshape(len(data.train), -1)
        write_problem(problem, images, data.train.targets, dense(sizes), "relu", case["batch size"])
        workers, missing = start_all(PEERS, chosen.interpreter, problem, case["threads"])
        try:
            check_losses(workers, TOLERANCE_BEFORE, after=None)
            once = max(worker.time(1) for worker in workers)
            epoch = len(data.train) // case["batch size"]
            steps = max(1, min(200, epoch, int(0.3 / once)))
            times: dict[str, list[float]] = {worker.name: [] for worker in workers}
            for number in range(chosen.rounds):
                time_round(workers, number, steps, times)
        finally:
            for worker in workers:
                worker.close()
    for worker in workers:
        milliseconds = 1e3 * float(np.median(times[worker.name]))
        found[worker.name] = {"ms": milliseconds, "mb": worker.peak_memory / 1e6}
    for name, why in missing.items():
        print(f"not measured: {name} ({why})")
    return found


def plot(name: str, results: list[dict[str, Any]], note: str) -> Any:
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    figure: Figure = Figure(figsize=(9, 3.6), dpi=130)
    figure.set_layout_engine("constrained")
    figure.suptitle(f"One training step over the {name}\n{note}", fontsize=9.5)
    for ax, unit, label in zip(
        figure.subplots(1, 2), ("ms", "mb"), ("milliseconds", "peak memory in MB"), strict=True
    ):
        for peer in results[0]["peers"]:
            x = [result["value"] for result in results]
            y = [result["peers"][peer][unit] for result in results]
            ax.loglog(x, y, "o-", color=COLOURS[peer], label=peer, markersize=4)
        ax.set_xticks(x, [str(value) for value in x], minor=False)
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xlabel(name)
        ax.set_ylabel(label)
        ax.grid(color="#dddddd", linewidth=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize=8)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=processors())
    parser.add_argument("--interpreter", nargs="+", default=[sys.executable], metavar="PYTHON")
    parser.add_argument("--output-dir", type=Path, default=Path("runs/benchmark"))
    chosen = parser.parse_args()
    folder = RunFolder(chosen.output_dir, "benchmark")
    data = standin.generate(train=8192, test=1)
    note = f"{hardware()['processor']}, {today()}"
    everything: dict[str, Any] = {
        "hardware": hardware(),
        "versions": versions(),
        "date": today(),
        "rounds": chosen.rounds,
        "results": {},
    }
    for name, values in cases(chosen.threads).items():
        results = [{"value": value, "peers": measure(case, data, chosen)} for value, case in values]
        everything["results"][name] = results
        peers = list(results[0]["peers"])
        head = [name, *(f"{peer} {unit}" for unit in ("ms", "MB") for peer in peers)]
        rows = [
            [r["value"]]
            + [f"{r['peers'][p]['ms']:.2f}" for p in peers]
            + [f"{r['peers'][p]['mb']:.0f}" for p in peers]
            for r in results
        ]
        print(text_table(head, rows), "\n", flush=True)
        folder.write_figure(f"scaling_{name.replace(' ', '_')}", plot(name, results, note))
    folder.write_json("scaling.json", everything)
    print(f"written to {folder.path}")


if __name__ == "__main__":
    main()
