"""Peers in processes of their own, and the problem that all of them are given."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from peers import PEERS

from minidl import Dense, Network


class Worker:
    """A peer in its own process."""

    def __init__(self, name: str, interpreter: str, problem: Path, threads: int) -> None:
        self.name = name
        limits = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment = os.environ | dict.fromkeys(limits, str(threads)) | PEERS[name].environment
        self.process = subprocess.Popen(
            [interpreter, str(Path(__file__).with_name("worker.py")), name, str(problem)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self.told = self._answer()
        self.peak_memory = 0  # bytes, known after the first timing

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"failed": "the process ended without an answer"}

    def time(self, steps: int) -> float:
        """Seconds of one step, the mean over ``steps``."""
        assert self.process.stdin is not None
        self.process.send_signal(signal.SIGCONT)
        print(steps, file=self.process.stdin, flush=True)
        answer = self._answer()
        self.process.send_signal(signal.SIGSTOP)  # no thread of it spins while another is timed
        if "seconds" not in answer:
            raise RuntimeError(f"{self.name}: {answer}")
        self.peak_memory = answer["peak_memory"]
        return answer["seconds"]

    def close(self) -> None:
        self.process.kill()  # also while it is stopped
        self.process.communicate()


def write_problem(
    path: Path,
    images: np.ndarray,
    labels: np.ndarray,
    sizes: Sequence[int],
    activation: str,
    batch_size: int,
) -> None:
    """What a peer is to train, with the weights that all of them start from."""
    layers = [Dense(n_in, n_out) for n_in, n_out in itertools.pairwise(sizes)]
    network = Network(layers, sizes[0], rng=0)
    weights = {f"weight{i}": value for i, (_, _, value, _) in enumerate(network.parameters())}
    np.savez(
        path,
        images=images,
        labels=labels,
        activation=np.array(activation),
        batch_size=np.array(batch_size),
        count=np.array(len(weights)),
        **weights,
    )


def start(name: str, interpreters: list[str], problem: Path, threads: int) -> Worker:
    """The peer under the first interpreter that has it."""
    for interpreter in interpreters:
        worker = Worker(name, interpreter, problem, threads)
        if "missing" not in worker.told:
            return worker
        worker.close()
    return worker
