"""One peer in its own process.

    python worker.py NAME PROBLEM.npz

It trains ten steps on one batch and answers with its loss before and after. Then it answers each
number of steps on standard input with the seconds per step and the peak memory. Every answer
includes the steps that the peer's optimizer has counted since the start. Answers are JSON, one
object per line.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from peers import FIRST_STEPS, PEERS, Problem

sys.path.insert(0, str(Path(__file__).parent / "peers"))


def read_problem(path: str) -> Problem:
    with np.load(path, allow_pickle=False) as file:
        weights = [file[f"weight{i}"] for i in range(int(file["count"]))]
        return Problem(
            file["images"],
            file["labels"],
            weights,
            str(file["activation"]),
            int(file["batch_size"]),
            str(file["kind"]),
        )


def peak_memory() -> int:
    """The peak memory of this process in bytes, on Linux (getrusage would include the parent's)."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def main(name: str, path: str) -> None:
    # Libraries print what they like; answers go to the real standard output.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(**what: Any) -> None:
        print(json.dumps(what), file=answers, flush=True)

    module, options, *_ = PEERS[name]
    try:
        make = importlib.import_module(module).make
    except ImportError as error:
        answer(missing=str(error))
        return
    problem = read_problem(path)
    rng = np.random.default_rng(0)

    def draw(steps: int) -> np.ndarray:
        return rng.integers(0, len(problem.images), (steps, problem.batch_size))

    try:
        peer = make(problem, **options)
        same = draw(1).repeat(FIRST_STEPS, axis=0)
        before = peer.loss(same[0])
        peer.run(same)
        after = peer.loss(same[0])
        answer(versions=peer.versions(), before=before, loss=after, steps=peer.steps())
        for line in sys.stdin:
            rows = draw(int(line))
            start = time.perf_counter()
            by_device = peer.run(rows)
            seconds = time.perf_counter() - start if by_device is None else by_device
            answer(seconds=seconds / len(rows), peak_memory=peak_memory(), steps=peer.steps())
    except Exception as error:  # noqa: BLE001  whatever a peer raises is reported, not hidden
        answer(failed=f"{type(error).__name__}: {error}"[:500])


if __name__ == "__main__":
    main(*sys.argv[1:])
