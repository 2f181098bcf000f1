"""Theory against networks at initialization: the declaration of the study, and its report."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl import Examples
from minidl.pages import Told
from minidl.propagation import batch_norm_factor
from minidl.study import Report, Run, Section, Task, TrainedStudy, Verdicts, Work, judge, text_table
from minidl.study.claims import FAILS, HOLDS
from minidl.study.estimates import Estimate
from minidl.study.options import whole
from minidl.study.report import pictures, set_up_section
from minidl.training.checkpoint import Checkpoint
from studies.signal_propagation import dead, parts
from studies.signal_propagation.claims import CLAIMS, EACH_LAYER, TRAINABLE, Findings
from studies.signal_propagation.measure import (
    CRITICAL,
    STARTS,
    Beside,
    batch_norm_growth,
    beside,
    deviation,
    factor,
    power,
)
from studies.signal_propagation.parts import DEEP, START
from studies.signal_propagation.training import SIGMA_B2, Cell, Drift, drift, reach, train_once

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FUNCTIONS = ("sigmoid", "relu", "tanh", "leaky_relu", "elu", "gelu")
CRITICAL_FUNCTIONS = ("relu", "tanh", "leaky_relu", "elu", "gelu")
NORMALISED = ("relu", "tanh", "sigmoid")  # with BatchNorm
BORN = ((2, 3, 5, 8), 40)  # widths, and the largest number of layers
SIGMAS = (0.8, 1.0, 1.2, 1.4, 1.76, 2.2, 2.8, 3.5, 4.5)  # σ_w² of the map
MAP = "trainable_depth"
PICTURES = {MAP: "Accuracy after training by depth and σ_w²; the line is the predicted 6 ξ_c"}


@dataclass
class Result:
    """The result of one task, which fills only its own fields."""

    layers: list[Beside] = field(default_factory=list)
    estimates: list[Estimate] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    drifts: list[Drift] = field(default_factory=list)


class SignalPropagation(TrainedStudy):
    name = "signal_propagation"
    about = "Predicting the gradient: theory against measurement at initialization."
    work = Work(
        "Deep Information Propagation",
        "Samuel S. Schoenholz, Justin Gilmer, Surya Ganguli, and Jascha Sohl-Dickstein",
        2017,
        "https://arxiv.org/abs/1611.01232",
        "ICLR",
    )
    data = ("mnist",)
    seeds = 10
    choosing = ()
    kind = Result
    keeps_weights = False

    def add_options(self, add: Any) -> None:
        # A variance needs units, a factor layers, and a network an image of each class.
        units, layers, images = (partial(whole, least=least) for least in (2, 4, 50))
        add("--width", type=units, default=512, help="units of each layer, layer by layer")
        add("--depth", type=layers, default=10, help="hidden layers, at least 4")
        add(
            "--deep-width",
            type=whole,
            default=256,
            help=f"units of each layer in networks of {DEEP} layers",
        )
        add("--examples", type=whole, default=32, help="images that theory is tested on")
        widths = [64, 128, 256, 512, 1024, 2048]
        add("--widths", type=whole, nargs="+", default=widths, help="widths to test theory at")
        add("--born", type=whole, default=4000, help="networks drawn to count dead ones")
        add("--map-width", type=whole, default=128, help="units of each layer in the map")
        depths = [4, 8, 16, 32, 64, 100]
        add("--map-depths", type=whole, nargs="+", default=depths, help="hidden layers in the map")
        add("--map-images", type=images, default=9600, help="images that a network of the map sees")
        add("--epochs", type=whole, default=5, help="epochs to compare a prediction over")

    def check(self, chosen: argparse.Namespace) -> None:
        if len(set(chosen.widths)) < 2:
            raise ValueError("--widths: expected two or more different widths")

    # -- what is measured --------------------------------------------------------------------

    def tasks(self, run: Run) -> dict[str, Task[Result]]:
        chosen, (data,) = run.chosen, run.data
        few = part(data.train, chosen.examples)
        many, test = part(data.train, chosen.map_images), part(data.test, 2000)
        more = range(chosen.seed, chosen.seed + 2 * chosen.seeds)
        size = chosen.width, chosen.depth
        found: dict[str, Task[Result]] = {}
        for f, start in pairs():
            found[f"layers-{f}-{start}"] = leaving(
                "layers", beside, f, start, *size, few, run.seeds
            )
        for f in CRITICAL_FUNCTIONS:
            deep = f, CRITICAL, chosen.deep_width, DEEP, few, run.seeds
            found[f"deep-{f}"] = leaving("estimates", power, *deep)
        for n in dict.fromkeys(chosen.widths):
            measured = "tanh", "lecun_normal", n, 5, few, more
            found[f"width-{n}"] = leaving("estimates", deviation, *measured)
        for n in BORN[0]:
            drawn = n, BORN[1], chosen.born, chosen.seed
            found[f"dead-{n}"] = leaving("estimates", dead.dead_share, *drawn)
        of_map = {"width": chosen.map_width, "batch_size": 32, "seed": chosen.seed}
        for w, depth in product(SIGMAS, dict.fromkeys(chosen.map_depths)):
            trained = leaving("cells", train_once, depth, w, many, test, **of_map)
            found[f"map-{100 * w:.0f}-{depth}"] = trained
        found["drift"] = leaving(
            *("drifts", drift, "tanh", ("lecun_normal", "zeros"), chosen.width, 5, many),
            epochs=chosen.epochs,
            learning_rate=0.05,
            probed=chosen.examples,
            seed=chosen.seed,
        )
        for f in NORMALISED:
            shape = chosen.width, chosen.width, 12
            found[f"batch-norm-{f}"] = leaving("estimates", batch_norm_growth, f, *shape, run.seeds)
        return found

    def summarise(self, run: Run, results: Mapping[str, Result]) -> dict[str, Any]:
        found = findings(results)
        return run.data_block() | {
            "seeds": list(run.seeds),
            "sizes": {
                name: getattr(run.chosen, name)
                for name in (
                    "width",
                    "depth",
                    "deep_width",
                    "examples",
                    "born",
                    "map_width",
                    "map_images",
                )
            },
            "layers": [
                {"function": f, "start": start, "rows": [asdict(row) for row in rows]}
                | asdict(factor(rows))
                for (f, start), rows in found.layers.items()
            ],
            "widths": [{"width": n} | asdict(off) for n, off in found.deviations.items()],
            "powers": [{"function": f} | asdict(p) for f, p in found.powers.items()],
            "dead": [
                {"width": n, "layers": layers, "share": share.value}
                | dict(zip(("low", "high"), share.interval(), strict=True))
                | dict(zip(("lower", "upper"), dead.bounds(n, layers), strict=True))
                for (n, layers), share in found.dead.items()
            ],
            "map": [asdict(cell) for cell in found.cells],
            "reach": [{"sigma_w2": w, "depth": reach(w)} for w in SIGMAS],
            "drift": [asdict(one) for one in found.drifts],
            "batch_norm": [
                {"function": f, "predicted": batch_norm_factor(f)} | asdict(growth)
                for f, growth in found.batch_norm.items()
            ],
        }

    def judge(self, summary: dict[str, Any], results: Mapping[str, Result]) -> None:
        found = judge(CLAIMS, Findings(), [findings(results)])
        summary["claims"] = [claim.as_dict() for claim in found]

    def figures(self, run: Run, results: Mapping[str, Result]) -> Iterator[tuple[str, Figure]]:
        yield MAP, parts.heat_map(findings(results).cells)

    # -- the report --------------------------------------------------------------------------

    def results(self, summary: Mapping[str, Any]) -> str:
        rows = [
            [one["function"], one["start"], f"{one['predicted']:.4f}", f"{one['measured']:.4f}"]
            for one in summary["layers"]
        ]
        return text_table(["function", "start", "predicted", "measured"], rows)

    def report(self, folder: Path, summary: Mapping[str, Any]) -> Report:
        trained: list[Told] = [*pictures(folder, PICTURES), parts.trained(summary)]
        verdicts = Verdicts({"this engine": summary["claims"]})
        return Report(
            "Predicting the gradient",
            self.work,
            "Can theory predict, before any training, how large the gradient of each layer is and "
            "how deep a network can be and still train?",
            _answer(summary),
            [parts.by_layer(summary)],
            verdicts.held(),
            [
                verdicts.section(CLAIMS),
                Section("Each layer's factor", [parts.factors(summary)]),
                Section("How deep a network trains", trained),
                Section("Starting at critical points", [parts.powers(summary)]),
                Section("How the error falls with the width", [parts.widths(summary)]),
                Section("Networks that are born dead", [parts.born_dead(summary)]),
                Section("During training", [parts.drift(summary)]),
                Section("With BatchNorm", [parts.batch_norm(summary)]),
                set_up_section(_set_up(summary), summary, note=NOTE),
            ],
        )


def leaving(part: str, measure: Callable[..., Any], *given: Any, **more: Any) -> Task[Result]:
    """A task that measures, and puts what it finds into the field ``part`` of its result."""

    def task(_: Checkpoint) -> Result:
        found = measure(*given, **more)
        several = isinstance(found, Iterable)
        return Result(**{part: list(found) if several else [found]})

    return task


def pairs() -> list[tuple[str, str]]:
    """All pairs of a function and a start; sigmoid has no critical start."""
    return [p for p in product(FUNCTIONS, STARTS) if p != ("sigmoid", CRITICAL)]


def findings(results: Mapping[str, Result]) -> Findings:
    """The measurements that the claims are judged by."""
    estimates = {name: result.estimates for name, result in results.items() if result.estimates}
    return Findings(
        {(f, start): results[f"layers-{f}-{start}"].layers for f, start in pairs()},
        {f: estimates[f"deep-{f}"][0] for f in CRITICAL_FUNCTIONS},
        {int(n.removeprefix("width-")): e[0] for n, e in estimates.items() if "width" in n},
        {
            (n, layers): estimates[f"dead-{n}"][layers - 2]
            for n in BORN[0]
            for layers in (5, 10, 20, BORN[1])
        },
        [cell for result in results.values() for cell in result.cells],
        drifts=results["drift"].drifts,
        batch_norm={f: estimates[f"batch-norm-{f}"][0] for f in NORMALISED},
    )


def part(examples: Examples, count: int) -> Examples:
    """The first ``count`` examples, with mean 0 and variance 1 over all their pixels."""
    images = examples.inputs[:count]
    scaled = images / np.float32(255)
    mean, std = float(scaled.mean()), float(scaled.std())
    channels = images.shape[1]
    return Examples(images, examples.targets[:count], None, [mean] * channels, [std] * channels)


def _answer(summary: Mapping[str, Any]) -> str:
    claims = {claim["claim"]: claim for claim in summary["claims"]}
    depth = claims[TRAINABLE]
    verdicts = {claims[EACH_LAYER]["verdict"], depth["verdict"]}
    word = "Yes" if verdicts == {HOLDS} else "No" if FAILS in verdicts else "Not decided"
    said = {
        one["function"]: f"{one['measured']:.3f} (predicted {one['predicted']:.3f})"
        for one in summary["layers"]
        if one["start"] == START
    }
    right, found, _ = depth["measured"].partition(" networks")
    networks = f"{right} networks whose depth is not near 6 ξ_c train, or do not, as predicted"
    return (
        f"{word}: with Glorot weights, a sigmoid layer multiplies the squared gradient by "
        f"{said['sigmoid']} and a ReLU layer by {said['relu']}; "
        f"{networks if found else 'how deep a network trains cannot be judged in this set-up'}."
    )


def _set_up(summary: Mapping[str, Any]) -> list[list[str | Told]]:
    sizes = summary["sizes"]
    return [
        ["data", f"{summary['dataset_title']}, pixels with mean 0 and variance 1"],
        [
            "layer by layer",
            f"{sizes['depth']} hidden layers of {sizes['width']} units, {sizes['examples']} images",
        ],
        [
            "map of depths",
            f"{sizes['map_width']} units per layer, tanh, σ_b² = {SIGMA_B2:g}; plain SGD with a "
            f"learning rate of 0.01, batches of 32, one pass over {sizes['map_images']:,} images",
        ],
        ["seeds", ", ".join(map(str, summary["seeds"]))],
    ]


NOTE = (
    "A prediction uses f, f' and the mean squares of the drawn weights, and nothing else of the "
    "network. The paper's networks have 300 units per layer; those of the map of depths are "
    "narrower and see fewer images, so that they train within minutes."
)
STUDY = SignalPropagation()
