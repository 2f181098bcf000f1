"""The page of the microscope: the path of the signal, every layer of every epoch, one step."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

from minidl._printable import printable
from minidl.microscope.backward_signal import SignalNorm, factors
from minidl.microscope.parts import SnapshotsPart, StepsPart
from minidl.microscope.run import NetworkSnapshots, snapshots_of
from minidl.microscope.snapshot import Snapshot
from minidl.pages import Chart, Page, Prose, Section, Series, Typed, in_order
from minidl.pages.colours import BLACK, distinct_colours, function_colour

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = (
    *("reader.js", "pictures.js", "histograms.js", "attention.js", "microscope.js", "steps.js"),
)

KIND = "Gradient microscope"
QUESTION = "Where does the signal that a network learns from get lost?"
ALONE = (
    "On the way back, every layer multiplies it by its weights and by f′(z); where f is flat, "
    "almost nothing is left."
)
LAYERS = (
    "In the backward pass, a layer multiplies the signal ∂L/∂y by the slope f′(z) of its "
    "activation function, unit by unit, and passes it through its weights to the layer before. The "
    "first table has the strength of the signal at every stop and the factor it was multiplied by. "
    "Below it is a layer of your choice: the weights into a unit and their gradient as pictures, "
    "and histograms of gradients, pre-activations and activations on the recorded examples. f and "
    "f′ are drawn under the pre-activations: where the values lie, f′ is what the signal is "
    "multiplied by. For a network that reads sentences, the page also shows how much each token of "
    "a sentence attends to each of its tokens."
)
STEPS = (
    "One example goes through a network of two inputs, three hidden units and two classes. Point "
    "at a number, or move to it with the arrow keys: the numbers it was computed from light up, "
    "and the arithmetic is written out. Numbers are shown with four digits."
)
FOOTER = "Made by minidl's gradient microscope; this page makes no network requests."


def microscope_page(folder: str | os.PathLike[str] | None, room: float = math.inf) -> Page:
    """The page of the run in ``folder``; with None, only the step through a tiny network.

    As many epochs as fit into ``room`` bytes have pictures and histograms; the charts have
    all of them.

    Raises
    ------
    SnapshotError
        if the folder has no snapshots, or one is damaged.
    OSError
        if one cannot be read.
    """
    styles = [(ASSETS / "microscope.css").read_text("utf-8")]
    scripts = [(ASSETS / name).read_text("utf-8") for name in SCRIPTS]
    steps = Section("One step, number by number", [Prose([STEPS]), StepsPart()])
    if folder is None:
        return Page(
            "One training step",
            *(KIND, QUESTION, ALONE),
            sections=[steps],
            footer=FOOTER,
            styles=styles,
            scripts=scripts,
        )
    networks = snapshots_of(folder)
    snapshots = SnapshotsPart(networks, room)
    return Page(
        title_of(Path(folder).resolve().name, networks),
        *(KIND, QUESTION),
        Typed(" ".join(map(answer, networks))),
        opening=[signal_chart(networks)],
        sections=[
            Section("Layer by layer", [Prose([LAYERS, *snapshots.left_out()]), snapshots]),
            Section("Predicted and measured", theory_charts(networks)),
            Section("Epoch by epoch", [left_chart(networks), *factor_charts(networks)]),
            steps,
        ],
        footer=FOOTER,
        styles=styles,
        scripts=scripts,
    )


def title_of(run: str, networks: Sequence[NetworkSnapshots]) -> str:
    """The networks and their run, in words."""
    names = [network.name for network in networks]
    several = f"{len(names)} networks"
    whose = " and ".join(names) if len(names) <= 2 else several
    return f"The gradients of {whose} in the run {printable(run)}"


def left(stops: Sequence[SignalNorm]) -> float:
    """The norm at the last stop over that at the first; NaN if there is no signal at all."""
    return stops[-1].norm / stops[0].norm if stops[0].norm > 0 else math.nan


def answer(network: NetworkSnapshots) -> str:
    """What is left of the signal in the last epoch, in a sentence."""
    snapshot = network.snapshots[-1]
    share = left(snapshot.signal)
    text = "nothing" if math.isnan(share) else f"{100 * share:.2g}%"
    return (
        f"{network.name}, epoch {snapshot.epoch}: of the signal at the loss, {text} arrives at "
        f"{snapshot.signal[-1].array}, where the first layer learns."
    )


def network_colours(networks: Sequence[NetworkSnapshots]) -> list[int]:
    """Each network's colour: that of its function, or a free one if that is taken."""
    functions = [[la.activation for la in network.snapshots[0].layers] for network in networks]
    first = [next((f for f in some if f != "linear"), "linear") for some in functions]
    return distinct_colours([function_colour(function) for function in first])


def signal_chart(networks: Sequence[NetworkSnapshots]) -> Chart:
    """The norm at every stop, all networks side by side; the last epoch first."""
    epochs = sorted(
        {snapshot.epoch for network in networks for snapshot in network.snapshots}, reverse=True
    )
    series = [
        Series(
            network.name,
            [stop.array for stop in snapshot.signal],
            [stop.norm for stop in snapshot.signal],
            colour=colour,
            where={"epoch": str(epoch)},
        )
        for epoch in epochs
        for colour, network in zip(network_colours(networks), networks, strict=True)
        for snapshot in network.snapshots
        if snapshot.epoch == epoch
    ]
    return Chart(
        "The signal on its way back",
        "The norm of ∂L/∂y and ∂L/∂z, with L summed over the recorded examples: from the loss on "
        "the left, layer by layer, to the first layer.",
        "array",
        "norm",
        series,
        scales=("log", "linear"),
        joined=True,
    )


def left_chart(networks: Sequence[NetworkSnapshots]) -> Chart:
    """The share of the signal that arrives, by epoch."""
    return Chart(
        "What is left of the signal",
        "Its norm at the first layer over that at the loss: the product of all factors.",
        "epoch",
        "share",
        [
            Series(
                network.name,
                [snapshot.epoch for snapshot in network.snapshots],
                [left(snapshot.signal) for snapshot in network.snapshots],
                colour=colour,
            )
            for colour, network in zip(network_colours(networks), networks, strict=True)
        ],
        scales=("log", "linear"),
    )


def factor_charts(networks: Sequence[NetworkSnapshots]) -> list[Chart]:
    """Each layer's factor of the signal by epoch; nothing if no layer passes it on."""
    series = []
    for network in networks:
        stops = network.snapshots[0].signal[1:]
        layers = list(dict.fromkeys(stop.layer for stop in reversed(stops)))
        rows = [factors(snapshot.signal) for snapshot in network.snapshots]
        for i, stop in enumerate(stops):
            series.append(
                Series(
                    stop.layer,
                    [snapshot.epoch for snapshot in network.snapshots],
                    [row[i] for row in rows],
                    **in_order(layers.index(stop.layer), len(layers)),
                    panel=network.name,
                    where={"factor of": FACTORS[stop.through]},
                )
            )
    if not series:
        return []
    chart = Chart(
        "What a layer multiplies the signal by",
        "Norm after over norm before. f′ alone can remove the signal: sigmoid's slope is never "
        "above 0.25. The weights can restore what f′ took away.",
        "epoch",
        "factor",
        sorted(series, key=lambda s: list(FACTORS.values()).index(s.where["factor of"])),
    )
    return [chart]


def theory_charts(networks: Sequence[NetworkSnapshots]) -> list[Chart]:
    """Each layer's factor next to the predicted one; nothing if there is no prediction."""
    snapshots = [
        (snapshot, network, colour)
        for network, colour in zip(networks, network_colours(networks), strict=True)
        for snapshot in network.snapshots
    ]
    series = [
        Series(f"{network.name}, {by}", *side, panel=network.name, where=where)
        for snapshot, network, colour in sorted(snapshots, key=lambda one: one[0].epoch)
        for through, title in FACTORS.items()
        for where in [{"epoch": str(snapshot.epoch), "factor of": title}]
        for by, side in _beside(snapshot, through, colour).items()
    ]
    if not series:
        return []
    chart = Chart(
        "What theory says a layer multiplies the signal by",
        "The predicted factors are those of random weights of the same size: √E f′(z)² for "
        "normally distributed z, and √(n_in E W²). They hold for wide layers before training; "
        "where the two diverge later, the size of the weights alone does not explain the factor.",
        "layer",
        "factor",
        series,
        scales=("linear", "log"),
        joined=True,
    )
    return [chart]


def _beside(
    snapshot: Snapshot, through: str, colour: int
) -> dict[str, tuple[list[str], list[float], int]]:
    """Layers, values and colour of what is predicted and of what is measured, if there is any."""
    known = [
        (stop.layer, stop.predicted, factor)
        for stop, factor in zip(snapshot.signal[1:], factors(snapshot.signal), strict=True)
        if stop.through == through and stop.predicted is not None
    ]
    if not known:
        return {}
    layers, theory, found = map(list, zip(*reversed(known), strict=True))
    return {"predicted": (layers, theory, BLACK), "measured": (layers, found, colour)}


FACTORS = {"slope": "the slopes f′(z)", "weights": "the weights", "layer": "other layers"}
