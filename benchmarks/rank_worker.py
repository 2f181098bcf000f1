"""One rank of a peer whose ranks share each batch.

    mpiexec -n 2 python -m mpi4py rank_worker.py MODULE STEPS PROBLEM.npz ...
    RANK=0 WORLD_SIZE=2 python rank_worker.py ddp_torch_peer STEPS PROBLEM.npz ...

Rank 0 answers on standard output with one line of JSON: for each problem, the loss before and
after ten steps on one batch, and the seconds per step in each of five timings.  With the module
``messages`` instead of a peer, it times sums of messages of increasing size.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from peers import FIRST_STEPS
from worker import read_problem

sys.path.insert(0, str(Path(__file__).parent / "peers"))
TIMINGS = 5
SIZES = [2**i for i in range(3, 27, 2)]  # bytes


def train(module: Any, steps: int, path: str) -> dict[str, Any]:
    problem = read_problem(path)
    peer = module.make(problem)
    rng = np.random.default_rng(0)  # the same batches on all ranks

    def draw(count: int) -> np.ndarray:
        return rng.integers(0, len(problem.images), (count, problem.batch_size))

    same = draw(1).repeat(FIRST_STEPS, axis=0)
    before = peer.loss(same[0])
    peer.run(same)
    after = peer.loss(same[0])
    seconds = []
    for _ in range(TIMINGS):
        rows = draw(steps)
        start = time.perf_counter()
        peer.run(rows)
        seconds.append((time.perf_counter() - start) / steps)
    return {
        "batch_size": problem.batch_size,
        "before": before,
        "after": after,
        "steps": peer.steps(),
        "seconds": seconds,
        "versions": peer.versions(),
    }


def messages() -> dict[str, float]:
    """Median seconds of a sum over ranks, by its size in bytes."""
    from minidl.data_parallel import world

    ranks, found = world(), {}
    for size in SIZES:
        array = np.zeros(size // 4, np.float32)
        seconds = []
        for _ in range(max(7, min(200, 2**24 // size))):
            start = time.perf_counter()
            ranks.all_reduce(array)
            seconds.append(time.perf_counter() - start)
        found[str(size)] = statistics.median(seconds)
    return found


def main(name: str, steps: str, *paths: str) -> None:
    if name == "ddp_torch_peer":
        module = importlib.import_module(name)
        leads = module.begin(os.environ["STORE"]) == 0
        found: Any = [train(module, int(steps), path) for path in paths]
        module.end()
    else:
        from minidl.data_parallel import world

        leads = world().is_root
        if name == "messages":
            found = messages()
        else:
            module = importlib.import_module(name)
            found = [train(module, int(steps), path) for path in paths]
    if leads:
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
