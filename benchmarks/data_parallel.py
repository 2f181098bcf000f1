"""One step of the published network on 1 and 2 ranks, in minidl over MPI and in PyTorch's DDP.

    python benchmarks/data_parallel.py [--interpreter PYTHON]

The ranks share each batch, so the batch size is that of all ranks together.  Every peer starts from
the same weights and must have the same loss before and after ten steps on one batch.  Then sums of
various sizes over two ranks are timed.  From both, a table for larger numbers of ranks is computed:
a prediction, which nobody has measured.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from processes import dense, write_problem

from minidl.data import standin
from minidl.study import RunFolder, text_table
from minidl.study.environment import hardware, today, versions

SIZES = (3072, 512, 512, 512, 512, 100)
BATCHES = (64, 256, 1024)
STEPS = 12  # per timing
HERE = Path(__file__).parent
MESSAGE = 4 * sum(n * m + m for n, m in itertools.pairwise(SIZES))  # bytes of ∇θ


class Case(NamedTuple):
    module: str
    ranks: int
    threads: int = 1  # per rank


CASES = {
    "minidl, 1 rank": Case("minidl_peer", 1),
    "minidl, 2 ranks": Case("minidl_peer", 2),
    "minidl, 2 ranks, a sum for each layer": Case("overlap_minidl_peer", 2),
    "minidl, 1 rank of 2 threads": Case("minidl_peer", 1, 2),
    "PyTorch, 1 rank": Case("ddp_torch_peer", 1),
    "PyTorch DDP (gloo), 2 ranks": Case("ddp_torch_peer", 2),
}
# α and β of a network between machines, in s and s per byte; an assumption: 20 µs, 25 Gbit/s.
ETHERNET = (20e-6, 8 / 25e9)
RANKS = [2**i for i in range(11)]


def answer(case: Case, problems: list[Path], interpreter: str) -> Any:
    """The answer of the peer's rank 0."""
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(case.threads))
    path = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, **limits, "PYTHONPATH": path}
    words = [str(HERE / "rank_worker.py"), case.module, str(STEPS), *map(str, problems)]
    if case.module != "ddp_torch_peer":
        mpiexec = Path(sys.executable).with_name("mpiexec")
        start = [str(mpiexec) if mpiexec.exists() else "mpiexec", "-n", str(case.ranks)]
        commands = [([*start, sys.executable, "-m", "mpi4py", *words], environment)]
    else:
        store = problems[0].with_name(f"store-{os.urandom(4).hex()}")
        shared = environment | {"WORLD_SIZE": str(case.ranks), "STORE": str(store)}
        commands = [
            ([interpreter, *words], shared | {"RANK": str(rank)}) for rank in range(case.ranks)
        ]
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen(command, env=of, stdout=pipe, stderr=pipe, text=True)
        for command, of in commands
    ]
    told = [process.communicate(timeout=60) for process in processes]
    if any(process.returncode for process in processes):
        raise RuntimeError(f"{case}: {told[0][1]}")
    return json.loads(told[0][0].splitlines()[-1])


def check(found: dict[str, list[dict[str, Any]]]) -> None:
    """Raise unless all peers do the same work."""
    first = next(iter(found.values()))
    for name, of_batches in found.items():
        for ours, theirs in zip(first, of_batches, strict=True):
            near = math.isclose(ours["before"], theirs["before"], rel_tol=1e-5) and math.isclose(
                ours["after"], theirs["after"], rel_tol=2e-3
            )
            if not near or ours["steps"] != theirs["steps"]:
                raise RuntimeError(f"{name} does different work: expected {ours}, got {theirs}")


def fit(times: dict[str, float]) -> tuple[float, float]:
    """α and β of t = 2 α + β n on two ranks, fitted to relative errors."""
    n, t = np.array([[int(size), seconds] for size, seconds in times.items()]).T
    (a, beta), *_ = np.linalg.lstsq(np.stack([1 / t, n / t], axis=1), np.ones(len(t)), rcond=None)
    return float(a / 2), float(beta)


def sum_over(ranks: int, size: int, alpha: float, beta: float) -> float:
    """Seconds of a sum of ``size`` bytes: halves are scattered, added and gathered."""
    return 2 * math.log2(ranks) * alpha + 2 * (ranks - 1) / ranks * size * beta


def predicted(alone: dict[int, float], alpha: float, beta: float) -> list[dict[str, float]]:
    """Efficiency by the number of ranks, with 256 examples each, and with 1,024 in total."""
    slope, start = np.polyfit(list(alone), list(alone.values()), 1)
    rows = []
    for ranks in RANKS:
        added = sum_over(ranks, MESSAGE, alpha, beta)
        strong = start + slope * 1024 / ranks + added
        rows.append(
            {
                "ranks": ranks,
                "weak_seconds": alone[256] + added,
                "weak_efficiency": alone[256] / (alone[256] + added),
                "strong_seconds": strong,
                "strong_efficiency": (start + slope * 1024) / (ranks * strong),
            }
        )
    return rows


def shown(report: dict[str, Any]) -> str:
    """The report as text."""
    medians = report["seconds"]
    rows = []
    for name, row in medians.items():
        alone = medians["PyTorch, 1 rank" if name.startswith("PyTorch") else "minidl, 1 rank"]
        cells = [f"{1e3 * row[b]:.2f} ({alone[b] / row[b]:.2f})" for b in row]
        rows.append([name, *cells])
    parts = [
        "ms of a step by the batch of all ranks (times as fast as one rank of the same library)",
        text_table(["", *map(str, report["batches"])], rows),
        "A sum over 2 ranks, measured",
        text_table(
            ["bytes", "µs", "fitted"],
            [
                [
                    f"{int(n):,}",
                    f"{1e6 * t:.1f}",
                    f"{1e6 * sum_over(2, int(n), *report['here']):.1f}",
                ]
                for n, t in report["messages"].items()
            ],
        ),
        f"α = {1e6 * report['here'][0]:.1f} µs, β = {1e9 * report['here'][1]:.3f} ns a byte; "
        f"the message of a step has {MESSAGE:,} bytes",
    ]
    for name, table in report["predicted"].items():
        parts += [
            f"A PREDICTION, measured by nobody: {name}",
            text_table(
                ["ranks", "256 each: ms", "efficiency", "1,024 in all: ms", "efficiency"],
                [
                    [
                        str(row["ranks"]),
                        f"{1e3 * row['weak_seconds']:.2f}",
                        f"{row['weak_efficiency']:.2f}",
                        f"{1e3 * row['strong_seconds']:.2f}",
                        f"{row['strong_efficiency']:.3f}",
                    ]
                    for row in table
                ],
            ),
        ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--interpreter", default=sys.executable, help="Python that has PyTorch")
    parser.add_argument("--output-dir", type=Path, default=Path("runs/benchmark"))
    chosen = parser.parse_args()
    folder = RunFolder(chosen.output_dir, "benchmark")
    data = standin.generate(train=8192, test=1).train
    images = data.inputs.reshape(len(data), -1)
    seconds: dict[str, dict[int, list[float]]] = {name: {b: [] for b in BATCHES} for name in CASES}
    with tempfile.TemporaryDirectory() as place:
        problems = [Path(place) / f"{size}.npz" for size in BATCHES]
        for size, path in zip(BATCHES, problems, strict=True):
            write_problem(path, images, data.targets, dense(SIZES), "sigmoid", size)
        for number in range(chosen.rounds):
            names = list(CASES)[number:] + list(CASES)[:number]
            told = {name: answer(CASES[name], problems, chosen.interpreter) for name in names}
            check(told)
            for name, found in told.items():
                for one in found:
                    seconds[name][one["batch_size"]] += one["seconds"]
        messages = answer(Case("messages", 2), [], chosen.interpreter)
    medians = {
        name: {b: statistics.median(times) for b, times in row.items()}
        for name, row in seconds.items()
    }
    here, alone = fit(messages), medians["minidl, 1 rank"]
    report = {
        "date": today(),
        "hardware": hardware(),
        "versions": versions() | {name: found[0]["versions"] for name, found in told.items()},
        "batches": BATCHES,
        "seconds": medians,
        "all_seconds": seconds,
        "messages": messages,
        "here": here,
        "predicted": {
            "sums as between two ranks here, in shared memory": predicted(alone, *here),
            "sums over 25 Gbit/s and 20 µs, an assumption": predicted(alone, *ETHERNET),
        },
    }
    text = shown(report)
    print(text)
    folder.write_json("data_parallel.json", report)
    folder.write_text("data_parallel.txt", text)
    print(f"written to {folder.path}")


if __name__ == "__main__":
    main()
