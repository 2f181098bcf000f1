"""Sigmoid against ReLU on CIFAR-100: a published comparison, run again.

Two dense networks, 3072-512-512-512-512-100, that differ in nothing but the
activation function of their hidden layers, start from the same weights and see
the same batches.  After every epoch the gradients of each layer are recorded.
The results, and what becomes of each published claim, are written to the
output folder; ``report.md`` there is the place to begin.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import itertools
import shlex
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from cifar100_report import DataUsed, Run, SetUp, claims_table, write_report

from minidl import ACTIVATIONS, Dense, Flatten, Network, SoftmaxCrossEntropy
from minidl.backend import PRECISIONS, Device, DeviceError, get_device, set_precision
from minidl.datasets import NAMES, Dataset, DatasetError, load
from minidl.optimizers import OPTIMIZERS, Optimizer
from minidl.parallel import processors
from minidl.recording import History, record, side_by_side
from minidl.reporting import RunFolder
from minidl.reporting.environment import hardware, peak_memory_mb, today, versions
from minidl.training import NonFiniteLoss

# The defaults of Keras, where they are not minidl's.
LEARNING_RATES = {"sgd": 0.01, "rmsprop": 0.001, "adam": 0.001, "adamw": 0.001}
KERAS: dict[str, dict[str, Any]] = {
    "sgd": {},
    "rmsprop": {"rho": 0.9, "epsilon": 1e-7},
    "adam": {"epsilon": 1e-7, "epsilon_hat": True},
    "adamw": {"epsilon": 1e-7, "epsilon_hat": True, "weight_decay": 0.004},
}


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; impossible values are refused here, before anything is loaded."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--epochs", type=whole, default=20, help="passes over the training images")
    add("--batch-size", type=whole, default=64, help="images in one step")
    add("--seed", type=int, default=0, help="of weights and batches; the first of several")
    add("--seeds", type=whole, default=1, metavar="N", help="repeat with N seeds in a row")
    add(
        "--activations",
        nargs="+",
        default=["sigmoid", "relu"],
        choices=[name for name, f in ACTIVATIONS.items() if f.elementwise],
        metavar="NAME",
        help="of the hidden layers, one network each: %(choices)s",
    )
    add("--hidden", type=whole, nargs="+", default=[512] * 4, metavar="UNITS", help="hidden layers")
    add("--optimizer", choices=OPTIMIZERS, default="adam", help="update rule")
    add("--learning-rate", type=float, help="(default: that of Keras for the optimizer)")
    add("--dataset", choices=NAMES, default="auto", help="auto: CIFAR-100, else the stand-in")
    add("--data-dir", type=Path, help="folder with the data set (default: $MINIDL_DATA, the cache)")
    add("--limit", type=whole, metavar="N", help="only the first N training images")
    add("--device", default="auto", help="auto, cpu, cuda or cuda:1")
    add("--precision", choices=PRECISIONS, default="float32", help="of matrix products on a GPU")
    add("--no-graph", dest="graph", action="store_false", help="no CUDA graph of the step")
    add("--jobs", type=whole, help="networks side by side (default: 2 on a CPU with 2 or more)")
    add("--output-dir", type=Path, default=Path("runs/cifar100"), help="folder for the results")
    add("--quiet", action="store_true", help="no progress, only the results")
    chosen = parser.parse_args(arguments)
    if len(set(chosen.activations)) < max(2, len(chosen.activations)):
        parser.error(f"--activations: expected two or more different, got {chosen.activations}")
    if chosen.seed < 0:
        parser.error(f"--seed: expected 0 or more, got {chosen.seed}")
    if chosen.learning_rate is None:
        chosen.learning_rate = LEARNING_RATES[chosen.optimizer]
    elif not 0 < chosen.learning_rate < float("inf"):
        parser.error(f"--learning-rate: expected a number above 0, got {chosen.learning_rate}")
    return chosen


def whole(text: str) -> int:
    """A whole number from 1."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text!r}")
    return number


def build_network(
    activation: str, chosen: argparse.Namespace, data: Dataset, seed: int, device: Device
) -> Network:
    """The network of the study: hidden layers of one kind, softmax left to the loss."""
    shape = data.train.input_shape
    sizes = [int(np.prod(shape)), *chosen.hidden]
    hidden = [Dense(n_in, n_out, activation) for n_in, n_out in itertools.pairwise(sizes)]
    output = Dense(sizes[-1], len(data.classes))
    return Network([Flatten(), *hidden, output], shape, rng=weights_rng(seed), device=device)


def build_optimizer(chosen: argparse.Namespace) -> Optimizer:
    """The update rule with the defaults and the form that it has in Keras, which the study used."""
    return OPTIMIZERS[chosen.optimizer](chosen.learning_rate, **KERAS[chosen.optimizer])


def weights_rng(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 0])


def batches_rng(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 1])


def run_network(
    activation: str,
    seed: int,
    chosen: argparse.Namespace,
    data: Dataset,
    device: Device,
    folder: RunFolder,
    stop: threading.Event,
) -> History:
    """Train one network, keep its weights and return its history."""
    network = build_network(activation, chosen, data, seed, device)
    label = f"{activation:<{max(map(len, chosen.activations))}}"
    label = f"seed {seed}  {label}" if chosen.seeds > 1 else label
    history = record(
        network,
        data.train,
        data.test,
        SoftmaxCrossEntropy(),
        build_optimizer(chosen),
        epochs=chosen.epochs,
        batch_size=chosen.batch_size,
        rng=batches_rng(seed),
        progress=False if chosen.quiet else label,
        graph=chosen.graph,
        stop=stop,
    )
    network.save(folder / f"weights/{activation}-seed{seed}.npz")
    return history


def load_data(chosen: argparse.Namespace) -> Dataset:
    data = load(chosen.dataset, chosen.data_dir, progress=not chosen.quiet)
    if chosen.limit is None:
        return data
    return dataclasses.replace(data, train=data.train.first(chosen.limit))


def main(arguments: list[str] | None = None) -> None:
    chosen = options(arguments)
    start = time.perf_counter()
    if chosen.device != "auto":
        get_device(chosen.device)  # fails now, not after a download
    folder = RunFolder(chosen.output_dir)
    data = load_data(chosen)

    said = f"data: {data.title}, {len(data.train):,} training and {len(data.test):,} test images"
    if data.note:
        said += f" ({data.note})"
    print(said, flush=True)
    device = get_device(chosen.device)
    set_precision(chosen.precision, device)
    jobs = chosen.jobs or (1 if device.is_cuda else min(2, processors()))
    if not chosen.quiet:
        print(f"device: {device}; {jobs} network(s) at a time")
        print(build_network(chosen.activations[0], chosen, data, chosen.seed, device).summary())

    seeds = range(chosen.seed, chosen.seed + chosen.seeds)
    cells = [(seed, activation) for seed in seeds for activation in chosen.activations]
    tasks = [
        functools.partial(run_network, activation, seed, chosen, data, device, folder)
        for seed, activation in cells
    ]
    used = DataUsed.of(data)
    histories = side_by_side(tasks, jobs)
    del data, tasks  # the images are not needed any more; drawing figures takes memory, too
    runs = [
        Run(seed, {a: h for (s, a), h in zip(cells, histories, strict=True) if s == seed})
        for seed in seeds
    ]
    set_up = SetUp(
        data=used,
        epochs=chosen.epochs,
        batch_size=chosen.batch_size,
        hidden=chosen.hidden,
        optimizer=f"{chosen.optimizer}, learning rate {chosen.learning_rate:g}",
        device=device.describe() + (", tf32" if chosen.precision == "tf32" else ""),
        jobs=jobs,
        hardware=hardware(),
        versions=versions(),
        date=today(),
        command=shlex.join(["python", "experiments/cifar100.py", *(arguments or sys.argv[1:])]),
        seconds=time.perf_counter() - start,
        peak_memory_mb=peak_memory_mb(),
    )
    summary = write_report(folder, set_up, runs)
    print(claims_table(summary))
    print(f"written to {folder.path / 'report.md'} after {set_up.seconds:.0f} s; {said}")


if __name__ == "__main__":
    try:
        main()
    except (DatasetError, DeviceError, NonFiniteLoss, OSError, ValueError) as error:
        sys.exit(f"cifar100: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
