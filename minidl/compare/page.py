"""The page of several runs: what differs between them, and their overlaid curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from minidl.compare.runs import GRADIENT, ONE_SET_UP, PARTS, Compared, Curves, Key
from minidl.pages import Chart, Page, Part, Prose, Section, Series, Table, Told, Typed
from minidl.pages.chart import VARIANTS
from minidl.pages.colours import distinct_colours, function_colour
from minidl.study import charts
from minidl.study.options import InputError
from minidl.study.report import percent
from minidl.study.tables import figure

KIND = "minidl · runs side by side"
FOOTER = "Made by minidl from the summaries of the runs. The page asks for nothing: "
FOOTER += "it can be kept, sent and opened without a network."
KINDS = {"train": "training", "test": "test", "validation": "validation"}
FEW = 4  # options that are named in a sentence
ABOUT_GRADIENT = (
    "Mean |∂L/∂W| over the hidden layers after each epoch, L the loss summed over the first "
    "training images."
)


def comparison(runs: Sequence[Compared]) -> Page:
    """The page of two runs or more.

    Raises
    ------
    InputError
        for more runs, or set-ups of different studies, than can be told apart.
    """
    labels = [run.label for run in runs]
    series = {what: _learned(runs, what) for what in charts.LEARNED}
    learned = [charts.learning_chart(what, lines) for what, lines in series.items() if lines]
    gradients = _over(runs, GRADIENT)
    if gradients:
        learned.append(
            Chart(
                *("Mean gradient of the hidden layers by epoch", ABOUT_GRADIENT, "epoch"),
                *(charts.GRADIENT, gradients, ("log", "linear")),
            )
        )
    sections = [
        Section("Curves", learned),
        Section("Results", [_results(runs), *_missing(runs)]),
        Section("Options", list(_differences(_options(runs), labels))),
        Section("Machine", list(_differences([run.conditions for run in runs], labels))),
    ]
    question = "What differs between these runs, in options and in results?"
    title = f"Compared: {', '.join(labels)}"
    return Page(title, KIND, question, _answer(runs), (), sections, "", FOOTER)


def _keys(runs: Sequence[Compared]) -> list[Key]:
    """The networks of any run."""
    return list(dict.fromkeys(key for run in runs for key in run.networks))


# -- curves -----------------------------------------------------------------------------------


def _learned(runs: Sequence[Compared], what: str) -> list[Series]:
    unit = 100 if what == "accuracy" else 1
    return [
        series
        for part, panel in PARTS.items()
        for series in _over(runs, f"{part}_{what}", unit, panel)
    ]


def _over(runs: Sequence[Compared], figure: str, unit: float = 1, panel: str = "") -> list[Series]:
    """A line for each run and network, the mean of its seeds.

    The colour is that of the function, shade and marker are those of the run. A set-up that all
    runs have becomes a choice; where none is, set-ups are parts of the names, and have each their
    shade and marker, so that runs of different studies lie over each other.
    """
    shared = set.intersection(*({set_up for set_up, _ in run.networks} for run in runs))
    names = list(dict.fromkeys(name for _, name in _keys(runs)))
    colours = dict(zip(names, distinct_colours([function_colour(n) for n in names]), strict=True))
    variants: dict[tuple[str, str], int] = {}  # by run and, where it is no choice, set-up
    for run in runs:
        for set_up, _ in run.networks:
            variants.setdefault((run.label, "" if shared else set_up), len(variants))
    if len(variants) > VARIANTS:
        raise InputError(
            f"expected up to {VARIANTS} runs (or set-ups, of different studies), as many as can be "
            f"told apart, got {len(variants)}"
        )
    found = []
    for set_up, name in _keys(runs):
        for run in runs:
            values = run.networks.get((set_up, name), {}).get(figure)
            if values is not None:
                place = {"where": {"set-up": set_up if shared else ""}, "panel": panel}
                label = f"{run.label}: {name if shared else _title((set_up, name))}"
                variant = variants[run.label, "" if shared else set_up]
                style = {"colour": colours[name], "variant": variant}
                found.append(charts.runs_series(label, unit * values, **place, **style))
    return found


def _title(key: Key) -> str:
    set_up, name = key
    return name if set_up == ONE_SET_UP else f"{set_up}, {name}"


# -- results ----------------------------------------------------------------------------------


def _results(runs: Sequence[Compared]) -> Table:
    """Each network of each run, grouped by name."""
    every = [curves for run in runs for curves in run.networks.values()]
    columns = [
        (f"{part}_{what}", f"{kind} {what}")
        for part, kind in KINDS.items()
        for what in charts.LEARNED
        if any(f"{part}_{what}" in curves for curves in every)
    ]
    head = [form for _, title in columns for form in (f"{title}, last", "best (epoch)")]
    rows: list[list[str | Told]] = [
        [Typed(f"{run.label}: {_title(key)}"), *_cells(run.networks[key], [c for c, _ in columns])]
        for key in _keys(runs)
        for run in runs
        if key in run.networks
    ]
    title = "Networks after their last and their best epoch, means over the seeds; seconds of "
    title += "training for one seed"
    return Table(title, ["network", "seeds", "epochs", *head, "seconds"], rows)


def _cells(curves: Curves, columns: Sequence[str]) -> Iterator[str]:
    seeds, epochs = next(iter(curves.values())).shape
    yield from (str(seeds), str(epochs))
    for column in columns:
        mean = curves[column].mean(axis=0) if column in curves else np.array([np.nan])
        is_share = column.endswith("accuracy")
        form = (lambda value: percent(value, 2)) if is_share else figure
        yield form(float(mean[-1]))
        if np.isnan(mean).all():
            yield "–"
        else:
            best = int(np.nanargmax(mean) if is_share else np.nanargmin(mean))
            yield f"{form(float(mean[best]))} ({best + 1})"
    seconds = curves["seconds"].mean(axis=0).sum() if "seconds" in curves else np.nan
    yield figure(float(seconds), 1)


def _answer(runs: Sequence[Compared]) -> Typed:
    """In which options the runs differ, and which network recognises most of its test images."""
    last = {
        f"{run.label}: {_title(key)}": float(curves["test_accuracy"].mean(axis=0)[-1])
        for run in runs
        for key, curves in run.networks.items()
        if "test_accuracy" in curves
    }
    options = _differing(_options(runs))
    differing = ", ".join(options) if len(options) <= FEW else f"{len(options)} options"
    differing = differing or "no option"
    known = {name: share for name, share in last.items() if not np.isnan(share)}
    if not known:
        return Typed(f"They differ in {differing}; none has test accuracies by epoch.")
    best = max(known, key=lambda name: known[name])
    return Typed(
        f"They differ in {differing}; after its last epoch {best} recognises the largest share of "
        f"its test images, {percent(known[best], 2)}."
    )


def _missing(runs: Sequence[Compared]) -> Iterator[Part]:
    """What a run lacks and another has."""

    def has(run: Compared) -> dict[str, None]:
        names = [f"the network {name}" for _, name in run.networks]
        set_ups = [f"the set-up {set_up}" for set_up, _ in run.networks if set_up != ONE_SET_UP]
        figures = [name.replace("_", " ") for curves in run.networks.values() for name in curves]
        return dict.fromkeys([*set_ups, *names, *(f"{name} by epoch" for name in figures)])

    known = [has(run) for run in runs]
    for run, own in zip(runs, known, strict=True):
        lacks = dict.fromkeys(one for other in known for one in other if one not in own)
        if lacks:
            yield Prose([Typed(f"Not in {run.label}: {', '.join(lacks)}.")])


# -- options ----------------------------------------------------------------------------------


def _options(runs: Sequence[Compared]) -> list[dict[str, str]]:
    """What was chosen in each run, the study first.

    A run that does not say whose it is differs from no other in that.
    """
    studies = {run.study for run in runs}
    is_told = None not in studies or len(studies) > 2
    return [
        ({"study": run.study} if is_told and run.study else {}) | dict(run.options) for run in runs
    ]


def _differing(options: Sequence[Mapping[str, str]]) -> list[str]:
    """The options in which not all runs agree."""
    names = dict.fromkeys(name for each in options for name in each)
    return [name for name in names if len({each.get(name) for each in options}) > 1]


def _differences(options: Sequence[Mapping[str, str]], labels: Sequence[str]) -> Iterator[Part]:
    """A table of what differs, and a line with the rest."""
    differing = _differing(options)
    if differing:
        rows = [
            [Typed(name), *(Typed(each.get(name, "not in the summary")) for each in options)]
            for name in differing
        ]
        yield Table("What differs between the runs", ["", *labels], rows)
    same = [f"{name} {said}" for name, said in options[0].items() if name not in differing]
    yield Prose([Typed(f"The same in all runs: {'; '.join(same) or 'nothing'}.")])
