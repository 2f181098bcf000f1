"""A training run on ranks in which rank 1 fails or differs, as the first argument says.

    mpiexec -n 3 python -m mpi4py failing_rank.py kill FOLDER

It writes a checkpoint into FOLDER after every second step; if it finishes, θ and the state
are written there.
"""

from __future__ import annotations

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from shared_training import DATA, normalized

from minidl import Adam, Augmentation, Dense, Dropout, Network, SoftmaxCrossEntropy
from minidl.backend.threads import using_threads
from minidl.data_parallel import train, world
from minidl.training.checkpoint import Checkpoint


def happens(what: str) -> None:
    """Fail if asked to; called in the middle of the second epoch."""
    if what == "raise":
        raise ValueError("a planted error")
    if what == "exit":
        sys.exit("a planted end")
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)


def main(what: str, folder: str) -> None:
    me = world().rank

    def watch(epoch: int, step: int) -> None:
        if (me, epoch, step) == (1, 1, 3):
            happens(what)

    seed = 7 if what == "other weights" and me == 1 else 1
    data = DATA.take(np.arange(len(DATA))[::-1]) if what == "other data" and me == 1 else DATA
    rate = 0.02 if what == "other options" and me == 1 else 0.01
    layers = [*normalized()[:-1], Dropout(0.2), Dense(48, 4)]
    network = Network(layers, (2, 6, 6), rng=seed, dtype="float64")

    def work() -> None:
        for _ in train(
            *(network, data, SoftmaxCrossEntropy(), Adam(rate)),
            epochs=3,
            batch_size=13,
            augment=Augmentation(1, rng=3),
            checkpoint=Checkpoint(Path(folder) / "checkpoint", every=2),
            watch=watch,
        ):
            pass

    if what == "other threads":
        with using_threads(1 + (me == 1)):
            work()
    elif what == "thread":
        with ThreadPoolExecutor(1) as pool:
            pool.submit(work).result()
    else:
        work()
    if world().is_root:
        np.savez(Path(folder) / "result.npz", theta=network.theta, state=network.state)


if __name__ == "__main__":
    main(*sys.argv[1:])
