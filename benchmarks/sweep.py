"""Training runs of the published network on 1 and 2 workers, and a prediction for many workers.

    python benchmarks/sweep.py [--data-dir DIR]

The same training runs are executed one after the other and two at a time, in threads and on Dask
workers, in turns; the weights must be the same to the bit. Calls that do nothing, and calls that
return as many bytes as the weights file has, show the overhead of a training run.
From these times, a table is computed for more workers: a prediction, which nobody has measured.
"""

from __future__ import annotations

import argparse
import hashlib
import heapq
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "experiments"))
from studies.cifar100 import STUDY

from minidl.pages.markdown import markdown_table
from minidl.study import RunFolder, sweep
from minidl.study.begun import Begun
from minidl.study.environment import hardware, today, versions

PLACES = {
    "one after the other": ("--jobs", "1"),
    "2 threads": ("--jobs", "2"),
    "1 worker": ("--workers", "1"),
    "2 workers": ("--workers", "2"),
}
ALONE = "one after the other"
AT_A_TIME = {ALONE: 1, "2 threads": 2, "1 worker": 1, "2 workers": 2}
WEIGHTS = 9_650_576 + 3_000  # approximate bytes of the published network's weights file
WORKERS = (1, 2, 10, 30, 100, 300, 1000)
RUNS = 1000  # in the predicted sweep
EPOCHS = 20  # of each run, as published
# Bandwidth of a file system that all share, in bytes per second; an assumption.
SHARED = 1e9


# -- measured -------------------------------------------------------------------------------------


def trained(place: Sequence[str], options: Sequence[str]) -> dict[str, Any]:
    """Seconds of all training runs, of each (if it ran in this process), and a digest of all."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [*options, *place, "--device", "cpu", "--quiet", "--output-dir", folder]
        begun = Begun.begin(STUDY, STUDY.options(arguments), "")
        tasks = STUDY.tasks(begun.run)
        each: list[float] = []
        timed = {name: _timed(task, each) for name, task in tasks.items()}
        start = time.perf_counter()
        begun.train(timed, STUDY.kind, True)
        seconds = time.perf_counter() - start
        weights = sorted(Path(folder, "weights").iterdir())
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in weights)).hexdigest()
        return {"seconds": seconds, "each": each, "runs": len(weights), "digest": digest}


def _timed(task: Callable[..., Any], seconds: list[float]) -> Callable[..., Any]:
    """The same task, which also appends its seconds to the list, in this process."""

    def timed(checkpoint: Any) -> Any:
        start = time.perf_counter()
        result = task(checkpoint)
        seconds.append(time.perf_counter() - start)
        return result

    return timed


def check(found: dict[str, dict[str, Any]]) -> None:
    """Raise unless the weights are the same everywhere."""
    for name, told in found.items():
        if (told["digest"], told["runs"]) != (found[ALONE]["digest"], found[ALONE]["runs"]):
            raise RuntimeError(f"{name}: expected the weights of {ALONE!r}, got different ones")


def nothing(call: int) -> int:
    """A call that takes no time itself."""
    return call


def weights(call: int) -> bytes:
    """A call whose result is as large as the published network's weights."""
    return bytes(WEIGHTS)


def overhead(function: Callable[..., Any], workers: int, calls: int) -> dict[str, float]:
    """Seconds until the first call returns, and for each further one."""
    seconds = []
    for count in (1, calls + 1):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            sweep(function, {"call": range(count)}, folder, workers=workers, quiet=True)
            seconds.append(time.perf_counter() - start)
    return {"first": seconds[0], "each": max(0.0, seconds[1] - seconds[0]) / calls}


# -- predicted ------------------------------------------------------------------------------------


def simulated(runs: Sequence[float], workers: int, latency: float, serial: float) -> float:
    """Seconds of a sweep whose training runs take ``runs`` seconds.

    The submitting process takes ``serial`` seconds to receive one result and send another job, one
    at a time; during that time and ``latency`` seconds more, that worker waits.
    """
    at_work = [latency + seconds for seconds in runs[:workers]]  # when each will finish
    heapq.heapify(at_work)
    waiting = iter(runs[workers:])
    clock = 0.0  # of the submitting process
    while at_work:
        clock = max(clock, heapq.heappop(at_work)) + serial
        if (seconds := next(waiting, None)) is not None:
            heapq.heappush(at_work, clock + latency + seconds)
    return clock


def predicted(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The efficiency of a sweep of 1,000 training runs, by the number of workers."""
    epoch, checkpoint = report["epoch_seconds"], report["checkpoint_bytes"]
    latency, serial = report["latency"], report["serial"]
    rng = np.random.default_rng(0)
    scattered = rng.lognormal(-0.5 * 0.5**2, 0.5, RUNS)  # with mean 1
    rows = []
    for workers in WORKERS:
        alike = np.full(RUNS, EPOCHS * epoch)
        # Each epoch ends with a checkpoint; all of them share the bandwidth of the file system.
        slowed = EPOCHS * max(epoch, workers * checkpoint / SHARED)
        cases = {
            "alike": (alike, alike.sum()),
            "scattered": (alike * scattered, (alike * scattered).sum()),
            "one file system": (np.full(RUNS, slowed), alike.sum()),
        }
        row: dict[str, Any] = {"workers": workers}
        for name, (runs, work) in cases.items():
            longest_first = np.sort(runs)[::-1] if name == "scattered" else runs
            seconds = simulated(list(runs), workers, latency, serial)
            row[name] = {"seconds": seconds, "efficiency": work / (workers * seconds)}
            if name == "scattered":
                seconds = simulated(list(longest_first), workers, latency, serial)
                row["longest first"] = {
                    "seconds": seconds,
                    "efficiency": work / (workers * seconds),
                }
        rows.append(row)
    return rows


def shown(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    medians = {name: statistics.median(times) for name, times in report["seconds"].items()}
    alone = medians[ALONE]
    measured = [
        [name, f"{seconds:.1f}", f"{alone / (AT_A_TIME[name] * seconds):.2f}"]
        for name, seconds in medians.items()
    ]
    costs = [
        [
            name,
            *(f"{found[n]['first']:.1f}" for n in "12"),
            *(f"{1e3 * found[n]['each']:.0f}" for n in "12"),
        ]
        for name, found in report["overhead"].items()
    ]
    names = ("alike", "scattered", "longest first", "one file system")
    table = [
        [str(row["workers"])]
        + [f"{row[n]['efficiency']:.2f} ({row[n]['seconds'] / 60:.0f} min)" for n in names]
        for row in report["predicted"]
    ]
    run, latency, serial = EPOCHS * report["epoch_seconds"], report["latency"], report["serial"]
    full = SHARED * report["epoch_seconds"] / report["checkpoint_bytes"]
    kinds = ["s, the first; 1 worker", "2 workers", "ms, each more; 1 worker", "2 workers"]
    parts = [
        f"{report['runs']} training runs of the published network, {report['epochs']} epochs each",
        markdown_table(["", "s", "efficiency"], measured),
        "What a call costs beside what it computes",
        markdown_table(["", *kinds], costs),
        f"A PREDICTION, measured by nobody: {RUNS:,} training runs of {run:.0f} s, "
        f"{1e3 * latency:.0f} ms between two on a worker, {1e3 * serial:.0f} ms of the submitting "
        "process for each",
        markdown_table(["predicted; workers", *names], table),
        f"The submitting process is busy all the time from {run / serial:,.0f} workers on, a file "
        f"system of {SHARED / 1e9:g} GB/s from {full:,.0f} on.",
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=4, help="seeds; two training runs each")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--dataset", default="auto")
    parser.add_argument("--data-dir")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--output-dir", type=Path, default=Path("runs/benchmark"))
    chosen = parser.parse_args()
    folder = RunFolder(chosen.output_dir, "benchmark")
    options = ["--seeds", str(chosen.seeds), "--epochs", str(chosen.epochs)]
    options += ["--dataset", chosen.dataset]
    for name in ("data_dir", "limit"):
        if (value := getattr(chosen, name)) is not None:
            options += [f"--{name.replace('_', '-')}", str(value)]
    seconds: dict[str, list[float]] = {name: [] for name in PLACES}
    each: list[float] = []
    for number in range(chosen.rounds):
        names = list(PLACES)[number:] + list(PLACES)[:number]
        found = {name: trained(PLACES[name], options) for name in names}
        check(found)
        each += found[ALONE]["each"]
        for name in names:
            seconds[name].append(found[name]["seconds"])
    costs = {
        name: {str(workers): overhead(function, workers, chosen.calls) for workers in (1, 2)}
        for name, function in (("nothing", nothing), ("weights of 9.65 MB", weights))
    }
    costly = costs["weights of 9.65 MB"]
    report: dict[str, Any] = {
        "date": today(),
        "hardware": hardware(),
        "versions": versions(),
        "runs": 2 * chosen.seeds,
        "epochs": chosen.epochs,
        "seconds": seconds,
        "seconds_of_each": each,
        "overhead": costs,
        "epoch_seconds": statistics.median(each) / chosen.epochs,
        "checkpoint_bytes": 3 * WEIGHTS,  # θ, m, v
        "latency": costly["1"]["each"],
        "serial": costly["2"]["each"],  # an upper bound: two workers may wait for each other
    }
    report["predicted"] = predicted(report)
    text = shown(report)
    print(text)
    folder.write_json("sweep.json", json.loads(json.dumps(report)))
    folder.write_text("sweep.txt", text)
    print(f"written to {folder.path}")


if __name__ == "__main__":
    main()
