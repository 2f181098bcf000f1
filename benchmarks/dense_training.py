"""One training step of the published network in minidl and in every peer that is installed.

    python benchmarks/dense_training.py [--data-dir DIR] [--interpreter PYTHON ...]

A step draws the batch from uint8 images and does forward, loss, backward and an
Adam update. Every peer runs in a process of its own and waits
while another is timed; each round times all peers in turn. Before the timing
starts, all of them train ten steps from the same weights and must reach the same loss; after each
timing, their optimizers must have counted every step.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from floor import Floor, measure_floor
from peers import peers_on
from processes import check_losses, dense, start_all, time_round, write_problem
from threadpoolctl import threadpool_limits

from minidl.backend import DeviceError, get_device
from minidl.backend.threads import processors
from minidl.data import load
from minidl.study import RunFolder, text_table
from minidl.study.environment import hardware, today, versions
from minidl.study.options import new_parser

SIZES = (3072, 512, 512, 512, 512, 100)
STEPS = {  # in one round
    "cpu": {64: 60, 256: 20, 1024: 6},
    "cuda": {64: 300, 256: 75, 1024: 18},  # no more than 20,000 images allow
}
# Relative, on the loss before and after ten steps on one batch, which reduce it by 10% to 50%.
# Adam follows the sign of even the tiniest gradient, so with ReLU a different order of summation in
# float32 leads to a different path (two forms of ε differ by 2%); with sigmoid all agree.
TOLERANCE_BEFORE = 1e-5
TOLERANCE_AFTER = {"sigmoid": 2e-3, "relu": 0.08}


def compare(
    activation: str, batch_size: int, chosen: argparse.Namespace, images: Any, labels: Any
) -> dict[str, Any]:
    """Time all peers on one batch size and activation, round by round."""
    with tempfile.TemporaryDirectory() as folder:
        problem = Path(folder) / "problem.npz"
        write_problem(problem, images, labels, dense(SIZES), activation, batch_size)
        workers, missing = start_all(chosen.peers, chosen.interpreter, problem, chosen.threads)
        try:
            check_losses(workers, TOLERANCE_BEFORE, TOLERANCE_AFTER[activation])
            steps = STEPS[chosen.device][batch_size]
            for worker in workers:
                worker.time(steps)  # warm-up
            times: dict[str, list[float]] = {worker.name: [] for worker in workers}
            floors: list[Floor] = []
            for number in range(chosen.rounds):
                time_round(workers, number, steps, times)
                floors.append(measure(batch_size, chosen))
        finally:
            for worker in workers:
                worker.close()
    floor = sorted(floors, key=lambda f: f.seconds)[len(floors) // 2]
    return {
        "activation": activation,
        "batch_size": batch_size,
        "seconds": times,
        "loss_after_ten_steps": {worker.name: worker.told["loss"] for worker in workers},
        "versions": {worker.name: worker.told["versions"] for worker in workers},
        "missing": missing,
        "floor": {
            "seconds": floor.seconds,
            "flops": floor.flops,
            "gemm_seconds": floor.gemm_seconds,
            "gemm_gflops": floor.flops / floor.gemm_seconds / 1e9,
            "optimizer_bytes": floor.optimizer_bytes,
            "bandwidth_gb_s": floor.bandwidth / 1e9,
            "launch_seconds": floor.launch_seconds,
        },
    }


def measure(batch_size: int, chosen: argparse.Namespace) -> Floor:
    """The floor of this batch size on this device, measured now."""
    if chosen.device == "cuda":
        from gpu_floor import measure_gpu_floor

        return measure_gpu_floor(SIZES, batch_size)
    return measure_floor(SIZES, batch_size, chosen.threads, rounds=5)


def table(result: dict[str, Any]) -> str:
    """Medians with quartiles, the ratio to minidl, and the floor as a share of each time."""
    ours = np.array(next(iter(result["seconds"].values())))
    floor = result["floor"]["seconds"]
    rows = []
    for name, seconds in sorted(result["seconds"].items(), key=lambda item: np.median(item[1])):
        low, middle, high = 1e3 * np.percentile(seconds, (25, 50, 75))
        ratio = np.median(ours / np.array(seconds))  # round by round
        rows.append(
            [
                name,
                f"{middle:.2f}",
                f"{low:.2f}–{high:.2f}",
                f"{ratio:.2f}",
                f"{100 * floor * 1e3 / middle:.0f}%",
            ]
        )
    rows.append(["floor", f"{1e3 * floor:.2f}", "", "", "100%"])
    head = ["", "ms per step", "quartiles", "minidl / peer", "of the floor"]
    lines = [f"batch {result['batch_size']}, {result['activation']}", text_table(head, rows)]
    lines += [f"not measured: {name} ({why})" for name, why in result["missing"].items()]
    return "\n".join([*lines, ""])


def chart(results: list[dict[str, Any]], note: str) -> Any:
    """One bar per peer, one panel per batch size and activation."""
    from matplotlib.figure import Figure

    figure: Figure = Figure(figsize=(11, 3 * ((len(results) + 1) // 2)), dpi=130)
    figure.set_layout_engine("constrained")
    figure.suptitle(f"One training step, 3072-512-512-512-512-100, Adam\n{note}", fontsize=10)
    axes = figure.subplots((len(results) + 1) // 2, 2, squeeze=False).ravel()
    for ax, result in zip(axes, results, strict=False):
        items = sorted(result["seconds"].items(), key=lambda item: -np.median(item[1]))
        names = [name for name, _ in items]
        middles = [1e3 * float(np.median(s)) for _, s in items]
        colours = ["#d55e00" if name.startswith("minidl") else "#9aa5b1" for name in names]
        ax.barh(names, middles, color=colours)
        ax.axvline(1e3 * result["floor"]["seconds"], color="black", linewidth=1)
        ax.set_title(f"batch {result['batch_size']}, {result['activation']}", fontsize=9)
        ax.set_xlabel("ms (line: the floor)", fontsize=8)
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def options() -> argparse.Namespace:
    parser = new_parser(__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--device", default="cpu", choices=STEPS, help="device on which all of them compute")
    add("--batch-sizes", type=int, nargs="+", default=[64, 256, 1024], choices=STEPS["cpu"])
    add("--activations", nargs="+", default=["relu", "sigmoid"], choices=["relu", "sigmoid"])
    add(
        "--peers",
        nargs="+",
        metavar="NAME",
        help="peers to time besides minidl (default: all that support the device)",
    )
    add("--rounds", type=int, default=15, help="timed rounds; each peer runs once per round")
    add("--threads", type=int, default=processors(), help="threads of every library")
    add(
        "--interpreter",
        nargs="+",
        default=[sys.executable],
        metavar="PYTHON",
        help="Pythons in which to look for peers, in this order",
    )
    add("--data-dir", type=Path, help="folder with CIFAR-100")
    add("--output-dir", type=Path, default=Path("runs/benchmark"))
    chosen = parser.parse_args()
    known = peers_on(chosen.device)
    unknown = set(chosen.peers or []) - set(known)
    if unknown:
        parser.error(f"--peers: expected some of {known}, got {sorted(unknown)}")
    # minidl comes first: the others are compared with it.
    chosen.peers = [name for name in known if name in (known[0], *(chosen.peers or known))]
    return chosen


def main() -> None:
    chosen = options()
    device = get_device(chosen.device).describe()
    folder = RunFolder(chosen.output_dir, "benchmark")
    data = load("auto", chosen.data_dir)
    images = np.ascontiguousarray(data.train.inputs[:20_000]).reshape(20_000, -1)
    labels = data.train.targets[:20_000]
    machine = hardware()
    how = f"{chosen.threads} threads; {chosen.rounds} rounds; {today()}"
    print(f"{data.title}; {machine}; {device}; {how}\n")
    everything: dict[str, Any] = {
        "data": data.title,
        "hardware": machine,
        "device": device,
        "versions": versions(),
        "threads": chosen.threads,
        "rounds": chosen.rounds,
        "date": today(),
        "results": [],
    }
    model = device if chosen.device == "cuda" else machine["processor"]
    note = f"{model}, {chosen.threads} threads, {today()}"
    results = everything["results"]
    with threadpool_limits(chosen.threads):  # of this process, which measures the floor
        for batch_size in chosen.batch_sizes:
            for activation in chosen.activations:
                results.append(compare(activation, batch_size, chosen, images, labels))
                print(table(results[-1]), flush=True)
                folder.write_json("dense_training.json", everything)
                folder.write_text("dense_training.txt", "\n".join(map(table, results)))
                folder.write_figure("dense_training", chart(results, note))
    print(f"written to {folder.path}")


if __name__ == "__main__":
    try:
        main()
    except DeviceError as error:
        sys.exit(f"dense_training: {error}")
