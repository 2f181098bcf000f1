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
from pathlib import Path

import numpy as np
from cifar100_report import Run, SetUp, claims_table, write_report
from cifar100_units import Trained, over_all_images
from study import (
    LEARNING_RATES,
    add_place,
    add_seeds,
    batches_rng,
    begin,
    command_line,
    keras_optimizer,
    new_parser,
    recorder_of,
    run_script,
    weights_rng,
    whole,
)

from minidl import ACTIVATIONS, Dense, Flatten, Network, SoftmaxCrossEntropy
from minidl.backend import Device
from minidl.data import NAMES, Dataset, load
from minidl.microscope.look_file import Recorder
from minidl.optimizers import OPTIMIZERS, Optimizer
from minidl.study.recording import record
from minidl.training.checkpoint import Checkpoint


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; impossible values are refused here, before anything is loaded."""
    parser = new_parser(__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--epochs", type=whole, default=20, help="passes over the training images")
    add("--batch-size", type=whole, default=64, help="images in one step")
    add_seeds(parser, seeds=1)
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
    add("--limit", type=whole, metavar="N", help="only the first N training images")
    add_place(parser, output_dir="runs/cifar100")
    chosen = parser.parse_args(arguments)
    if len(set(chosen.activations)) < max(2, len(chosen.activations)):
        parser.error(f"--activations: expected two or more different, got {chosen.activations}")
    if chosen.learning_rate is None:
        chosen.learning_rate = LEARNING_RATES[chosen.optimizer]
    elif not 0 < chosen.learning_rate < float("inf"):
        parser.error(f"--learning-rate: expected a number above 0, got {chosen.learning_rate}")
    return chosen


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
    return keras_optimizer(chosen.optimizer, chosen.learning_rate)


def run_network(
    activation: str,
    seed: int,
    chosen: argparse.Namespace,
    data: Dataset,
    device: Device,
    recorder: Recorder | None,
    weights: Path,
    checkpoint: Checkpoint,
) -> Trained:
    """Train one network, write its weights and return what the report is made of."""
    network = build_network(activation, chosen, data, seed, device)
    label = f"{activation:<{max(map(len, chosen.activations))}}"
    label = f"seed {seed}  {label}" if chosen.seeds > 1 else label
    loss = SoftmaxCrossEntropy()
    history = record(
        network,
        data.train,
        data.test,
        loss,
        build_optimizer(chosen),
        epochs=chosen.epochs,
        batch_size=chosen.batch_size,
        rng=batches_rng(seed),
        progress=False if chosen.quiet else label,
        graph=chosen.graph,
        checkpoint=checkpoint,
        recorder=recorder,
    )
    network.save(weights)
    return Trained(history, over_all_images(network, data.train, loss))


def load_data(chosen: argparse.Namespace) -> Dataset:
    data = load(chosen.dataset, chosen.data_dir, progress=not chosen.quiet)
    if chosen.limit is None:
        return data
    return dataclasses.replace(data, train=data.train.first(chosen.limit))


def main(arguments: list[str] | None = None) -> None:
    chosen = options(arguments)
    begun, (data,) = begin(
        "cifar100", chosen, lambda: [load_data(chosen)], ["activations", "seed", "seeds"]
    )
    device, folder = begun.device, begun.folder
    if not chosen.quiet:
        print(build_network(chosen.activations[0], chosen, data, chosen.seed, device).summary())

    seeds = range(chosen.seed, chosen.seed + chosen.seeds)
    cells = [(seed, activation) for seed in seeds for activation in chosen.activations]
    tasks = {
        name: functools.partial(
            run_network,
            activation,
            seed,
            chosen,
            data,
            device,
            recorder_of(chosen, folder, name),
            begun.cells.weights_of(name),
        )
        for seed, activation in cells
        for name in [f"{activation}-seed{seed}"]
    }
    trained = begun.train(tasks, Trained, weights=True)
    del data, tasks  # the images are not needed any more; drawing figures takes memory, too
    runs = [
        Run(seed, {a: t for (s, a), t in zip(cells, trained, strict=True) if s == seed})
        for seed in seeds
    ]
    set_up = SetUp(
        data=begun.used[0],
        epochs=chosen.epochs,
        batch_size=chosen.batch_size,
        hidden=chosen.hidden,
        optimizer=f"{chosen.optimizer}, learning rate {chosen.learning_rate:g}",
        conditions=begun.conditions(command_line("cifar100", arguments)),
    )
    summary = write_report(folder, set_up, runs)
    print(claims_table(summary))
    begun.say_where(set_up.conditions)


if __name__ == "__main__":
    run_script("cifar100", main)
