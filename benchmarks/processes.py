"""Peers in separate processes, and the problem that all of them solve."""

from __future__ import annotations

import itertools
import json
import math
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from peers import FIRST_STEPS, PEERS

from minidl import Dense, Network


class Worker:
    """A peer in its own process; its optimizer must have counted every requested step."""

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
        self.steps = FIRST_STEPS
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
        self.process.send_signal(signal.SIGSTOP)  # or its threads might spin while others are timed
        if "seconds" not in answer:
            raise RuntimeError(f"{self.name}: {answer}")
        self.steps += steps
        self.check_steps(answer)
        self.peak_memory = answer["peak_memory"]
        return answer["seconds"]

    def check_steps(self, answer: dict[str, Any]) -> None:
        """Raise unless the optimizer has counted exactly the requested steps."""
        if answer["steps"] != self.steps:
            raise RuntimeError(
                f"{self.name}: expected {self.steps} steps of the optimizer, got {answer['steps']}"
            )

    def close(self) -> None:
        self.process.kill()  # works even if it is stopped
        self.process.communicate()


def dense(sizes: Sequence[int]) -> Network:
    """The dense network of these sizes; only its weights are used here."""
    layers = [Dense(n_in, n_out) for n_in, n_out in itertools.pairwise(sizes)]
    return Network(layers, sizes[0], rng=0)


def write_problem(
    path: Path,
    images: np.ndarray,
    labels: np.ndarray,
    network: Network,
    activation: str,
    batch_size: int,
    kind: str = "plain",
) -> None:
    """Write what each peer is to train, with the initial weights of all peers."""
    weights = {f"weight{i}": value for i, (_, _, value, _) in enumerate(network.parameters())}
    np.savez(
        path,
        images=images,
        labels=labels,
        activation=np.array(activation),
        kind=np.array(kind),
        batch_size=np.array(batch_size),
        count=np.array(len(weights)),
        **weights,
    )


def start(name: str, interpreters: list[str], problem: Path, threads: int) -> Worker:
    """Start the peer in the first interpreter that has its library."""
    for interpreter in interpreters:
        worker = Worker(name, interpreter, problem, threads)
        if "missing" not in worker.told:
            return worker
        worker.close()
    return worker


def start_all(
    names: Sequence[str], interpreters: list[str], problem: Path, threads: int
) -> tuple[list[Worker], dict[str, str]]:
    """The peers that run, and the reasons why the others do not.

    Raises
    ------
    RuntimeError
        if the first of them, minidl, does not run.
    """
    workers, missing = [], {}
    for name in names:
        worker = start(name, interpreters, problem, threads)
        if "loss" in worker.told:
            workers.append(worker)
            continue
        worker.close()
        missing[name] = worker.told.get("missing") or worker.told["failed"]
        if name == names[0]:
            raise RuntimeError(f"{name}: {missing[name]}")
    return workers, missing


def check_losses(workers: list[Worker], before: float, after: float | None) -> None:
    """Raise unless all had minidl's loss before and after ten steps, within these relative errors.

    With ``after=None``, the loss after them may be any finite number.
    """
    ours = workers[0].told
    for worker in workers:
        theirs = worker.told
        worker.check_steps(theirs)
        same = abs(theirs["before"] - ours["before"]) <= before * ours["before"]
        if after is None:
            same = same and math.isfinite(theirs["loss"])
        else:
            same = same and abs(theirs["loss"] - ours["loss"]) <= after * ours["loss"]
        if not same:
            raise RuntimeError(f"{worker.name} does different work: expected {ours}, got {theirs}")


def time_round(
    workers: list[Worker], number: int, steps: int, times: dict[str, list[float]]
) -> None:
    """Time each worker once; each round starts with a different one."""
    first = number % len(workers)
    for worker in workers[first:] + workers[:first]:
        times[worker.name].append(worker.time(steps))
