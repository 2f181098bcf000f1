"""Theory beside networks as they start: what is declared of the study, and its report."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl import Examples
from minidl.pages import Chart, Series, Table, Told
from minidl.pages.colours import BLACK, function_colour
from minidl.propagation import batch_norm_factor
from minidl.study import Report, Run, Section, Task, TrainedStudy, Work, judge, text_table
from minidl.study.claims import FAILS, HOLDS
from minidl.study.estimates import Estimate
from minidl.study.figures import new_figure
from minidl.study.options import whole
from minidl.study.report import claims_section, held, pictures, set_up_section
from minidl.training.checkpoint import Checkpoint
from studies.signal_propagation import dead
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
from studies.signal_propagation.training import (
    SIGMA_B2,
    Cell,
    Drift,
    drift,
    reach,
    train_once,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FUNCTIONS = ("sigmoid", "relu", "tanh", "leaky_relu", "elu", "gelu")
CRITICAL_FUNCTIONS = ("relu", "tanh", "leaky_relu", "elu", "gelu")
DEEP = 60  # hidden layers of the networks that start at a critical point
NORMALISED = ("relu", "tanh", "sigmoid")  # with BatchNorm
BORN = ((2, 3, 5, 8), 40)  # widths, and layers up to which networks are drawn
SIGMAS = (0.8, 1.0, 1.2, 1.4, 1.76, 2.2, 2.8, 3.5, 4.5)  # σ_w² of the map
MAP = "trainable_depth"
PICTURES = {MAP: "Accuracy after training by depth and σ_w²; the line is 6 ξ_c, as predicted"}
SHOWN = ("sigmoid", "relu")  # the functions of the first chart
START = "glorot_uniform"


@dataclass
class Result:
    """What one task leaves; each fills what is its own."""

    layers: list[Beside] = field(default_factory=list)
    estimates: list[Estimate] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    drifts: list[Drift] = field(default_factory=list)


class SignalPropagation(TrainedStudy):
    name = "signal_propagation"
    about = "The gradient predicted: theory beside networks as they start, and how deep they train."
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
        add("--width", type=whole, default=512, help="units of the layers that are looked at")
        add("--depth", type=whole, default=10, help="hidden layers, 4 or more")
        add("--deep-width", type=whole, default=256, help=f"units of networks of {DEEP} layers")
        add("--examples", type=whole, default=32, help="images that theory is compared on")
        widths = [64, 128, 256, 512, 1024, 2048]
        add("--widths", type=whole, nargs="+", default=widths, help="by which theory comes true")
        add("--born", type=whole, default=4000, help="networks drawn to see how many are dead")
        add("--map-width", type=whole, default=128, help="units of the networks of the map")
        depths = [4, 8, 16, 32, 64, 100]
        add("--map-depths", type=whole, nargs="+", default=depths, help="their hidden layers")
        add("--map-images", type=whole, default=9600, help="images that each of them sees once")
        add("--epochs", type=whole, default=5, help="epochs that a prediction is followed through")

    def check(self, chosen: argparse.Namespace) -> None:
        if chosen.depth < 4:
            raise ValueError(f"--depth: expected an integer from 4, got {chosen.depth}")
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
        yield MAP, heat_map(findings(results).cells)

    # -- the report --------------------------------------------------------------------------

    def results(self, summary: Mapping[str, Any]) -> str:
        rows = [
            [one["function"], one["start"], f"{one['predicted']:.4f}", f"{one['measured']:.4f}"]
            for one in summary["layers"]
        ]
        return text_table(["function", "start", "predicted", "measured"], rows)

    def report(self, folder: Path, summary: Mapping[str, Any]) -> Report:
        return Report(
            "The gradient predicted",
            self.work,
            "Can one say before any training how large the gradient of each layer is, and how deep "
            "a network can be and still train?",
            _answer(summary),
            [_by_layer(summary)],
            held(summary["claims"]),
            [
                claims_section({"this engine": summary["claims"]}, CLAIMS),
                Section("Each layer's factor", [_factors(summary)]),
                Section("How deep a network trains", [*pictures(folder, PICTURES), _map(summary)]),
                Section("From critical points", [_powers(summary)]),
                Section("How fast theory comes true", [_widths(summary)]),
                Section("Networks that are born dead", [_dead(summary)]),
                Section("As training goes on", [_drift(summary)]),
                Section("With BatchNorm", [_batch_norm(summary)]),
                set_up_section(_set_up(summary), summary, note=NOTE),
            ],
        )


def leaving(part: str, measure: Callable[..., Any], *given: Any, **more: Any) -> Task[Result]:
    """A task that measures, and leaves what it finds in that part of its result."""

    def task(_: Checkpoint) -> Result:
        found = measure(*given, **more)
        several = isinstance(found, Iterable)
        return Result(**{part: list(found) if several else [found]})

    return task


def pairs() -> list[tuple[str, str]]:
    """The functions and their starts; sigmoid has no critical one."""
    return [p for p in product(FUNCTIONS, STARTS) if p != ("sigmoid", CRITICAL)]


def findings(results: Mapping[str, Result]) -> Findings:
    """What the claims are judged on."""
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
    """The first ``count``, with mean 0 and variance 1 over all their pixels."""
    images = examples.inputs[:count]
    scaled = images / np.float32(255)
    mean, std = float(scaled.mean()), float(scaled.std())
    channels = images.shape[1]
    return Examples(images, examples.targets[:count], None, [mean] * channels, [std] * channels)


def heat_map(cells: Sequence[Cell]) -> Figure:
    """Accuracy by depth and σ_w², with the line 6 ξ_c."""
    depths = sorted({cell.depth for cell in cells})
    sigmas = sorted({cell.sigma_w2 for cell in cells})
    values = np.full((len(depths), len(sigmas)), np.nan)
    for cell in cells:
        values[depths.index(cell.depth), sigmas.index(cell.sigma_w2)] = cell.accuracy
    figure, (ax,) = new_figure(f"Test accuracy, tanh, σ_b² = {SIGMA_B2:g}")
    ax.grid(visible=False)
    mesh = ax.pcolormesh(sigmas, depths, values, cmap="viridis", shading="nearest", vmin=0, vmax=1)
    figure.colorbar(mesh, ax=ax, label="accuracy")
    w = np.unique([*np.linspace(sigmas[0], sigmas[-1], 20), *sigmas])
    ax.plot(w, [reach(v) for v in w], color="white", linewidth=2, label="6 ξ_c, predicted")
    ax.set(xlabel="σ_w²", ylabel="hidden layers", yscale="log", ylim=(depths[0], depths[-1]))
    ax.legend(fontsize=8, loc="upper right", facecolor="#444444", labelcolor="white")
    return figure


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
    return (
        f"{word}: with Glorot weights a sigmoid layer multiplies the squared gradient by "
        f"{said['sigmoid']}, a ReLU layer by {said['relu']}; and "
        f"{depth['measured'].partition(' networks')[0]} networks whose depth is not near 6 ξ_c "
        "train, or do not, as predicted."
    )


def _by_layer(summary: Mapping[str, Any]) -> Chart:
    series = []
    for one in summary["layers"]:
        if one["start"] == START and one["function"] in SHOWN:
            rows, f = one["rows"][:-1], one["function"]
            places = list(range(1, len(rows) + 1))
            for by, colour in (("predicted", BLACK), ("measured", function_colour(f))):
                values = [row[by]["dz2"] for row in rows]
                series.append(Series(f"{f}, {by}", places, values, colour))
    about = "Mean square of dz in each hidden layer before any training; means over the seeds."
    return Chart("The squared gradient by layer", about, "hidden layer", "E dz²", series, ("log",))


def _factors(summary: Mapping[str, Any]) -> Table:
    rows: list[list[str | Told]] = []
    for one in summary["layers"]:
        low, high = _interval(one["off"])
        rows.append(
            [
                one["function"],
                one["start"],
                f"{one['predicted']:.4f}",
                f"{one['measured']:.4f}",
                f"{100 * np.expm1(low):+.1f}% to {100 * np.expm1(high):+.1f}%",
            ]
        )
    head = ["function", "start", "predicted", "measured", "off by (95%)"]
    return Table("What a hidden layer multiplies the squared gradient by", head, rows)


def _interval(estimate: Mapping[str, float | None]) -> tuple[float, float]:
    """The 95% interval of an estimate of a summary, in which no number is infinite."""
    given = {k: np.inf if v is None or np.isnan(v) else v for k, v in estimate.items()}
    return Estimate(**given).interval()


def _map(summary: Mapping[str, Any]) -> Table:
    depths = sorted({cell["depth"] for cell in summary["map"]})
    rows: list[list[str | Told]] = []
    for line in summary["reach"]:
        found = {
            c["depth"]: c["accuracy"] for c in summary["map"] if c["sigma_w2"] == line["sigma_w2"]
        }
        cells = ["–" if found[d] is None else f"{found[d]:.2f}" for d in depths]
        rows.append([f"{line['sigma_w2']:g}", _depth(line["depth"]), *cells])
    head = ["σ_w²", "6 ξ_c", *(f"{depth} layers" for depth in depths)]
    return Table("Accuracy on test images", head, rows)


def _depth(value: float | None) -> str:
    known = value is not None and np.isfinite(value)
    return f"{value:.0f}" if known else "∞"


def _widths(summary: Mapping[str, Any]) -> Chart:
    n = [one["width"] for one in summary["widths"]]
    values = [one["value"] for one in summary["widths"]]
    theory = [values[0] * n[0] / width for width in n]
    about = "Mean of log²(measured / predicted) of E z² in the fifth layer of tanh networks."
    series = [
        Series("measured", n, values, function_colour("tanh")),
        Series("as 1/n from the first", n, theory, BLACK),
    ]
    return Chart("Off by, by width", about, "units of a layer", "mean square", series, ("log",))


def _powers(summary: Mapping[str, Any]) -> Table:
    rows: list[list[str | Told]] = []
    for one in summary["powers"]:
        low, high = _interval({k: one[k] for k in ("value", "error", "freedom")})
        rows.append([one["function"], f"{one['value']:+.2f} ({low:+.2f} to {high:+.2f})"])
    caption = f"p of E dz² ∝ L^p in networks of L = {DEEP} hidden layers"
    return Table(caption, ["function", "p (95%)"], rows)


def _dead(summary: Mapping[str, Any]) -> Table:
    rows: list[list[str | Told]] = [
        [
            *(str(one["width"]), str(one["layers"])),
            f"{one['share']:.3f} ({one['low']:.3f} to {one['high']:.3f})",
            f"{one['lower']:.3f} to {one['upper']:.3f}",
        ]
        for one in summary["dead"]
    ]
    head = ["units", "layers", "share that is dead (95%)", "bounds of Lu et al."]
    return Table(f"Of {summary['sizes']['born']:,} ReLU networks with one input", head, rows)


def _drift(summary: Mapping[str, Any]) -> Chart:
    places = [one["epoch"] for one in summary["drift"]]
    series = [
        Series(by, places, [one[by] for one in summary["drift"]], colour)
        for by, colour in (("measured", function_colour("tanh")), ("predicted", BLACK))
    ]
    about = (
        "Factor of E dz² per hidden layer, tanh; predicted from the sizes that W and b have then."
    )
    return Chart("A prediction through training", about, "epoch", "factor", series)


def _batch_norm(summary: Mapping[str, Any]) -> Table:
    rows: list[list[str | Told]] = [
        [one["function"], f"{one['predicted']:.4f}", f"{one['value']:.4f}"]
        for one in summary["batch_norm"]
    ]
    head = ["function", "predicted", "measured"]
    return Table("What a layer with BatchNorm multiplies the squared gradient by", head, rows)


def _set_up(summary: Mapping[str, Any]) -> list[list[str | Told]]:
    sizes = summary["sizes"]
    return [
        ["data", f"{summary['dataset_title']}, pixels with mean 0 and variance 1"],
        ["layer by layer", f"{sizes['depth']} x {sizes['width']}, {sizes['examples']} images"],
        [
            "the map",
            f"{sizes['map_width']} units, tanh, σ_b² = {SIGMA_B2:g}; plain gradient descent with a "
            f"learning rate of 0.01 on batches of 32, {sizes['map_images']:,} images once",
        ],
        ["seeds", ", ".join(map(str, summary["seeds"]))],
    ]


NOTE = (
    "Predictions are made of f, f' and the mean squares of the weights that were drawn, and of "
    "nothing else of the network. The paper trains networks of 300 units; those of the map are "
    "narrower and see fewer images, to be done in minutes."
)
STUDY = SignalPropagation()
