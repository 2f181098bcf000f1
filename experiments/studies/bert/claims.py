"""The claims of the BERT study, and how each is judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from minidl.study import Evidence, NotJudged, Statement
from minidl.study.claims import BEYOND, all_of, known
from minidl.study.estimates import Estimate, share
from minidl.study.pairs import MACHINE
from studies.bert.networks import FEW, MAJORITY, Figures, arrival, last_change, majority_f1
from studies.bert.training import DATA_SETS, FUNCTIONS, PRETRAINED, TESTED

LEARN = ("ReLU", "GELU", "LReLU")  # according to the study
GATED = ("GLU", "SwiGLU")
OTHERS = tuple(row for row in FUNCTIONS if row not in LEARN)
VANISHED = 0.1  # of the share that arrives in the pretrained network
DESTROYED = 1.0  # of its size: a state that has changed by more is not the pretrained one

BEST = "GELU performs best on both data sets"
ONE_ANSWER = "No function except GELU, ReLU and leaky ReLU learns"
VANISHES = "They do not learn because gradients vanish from the output to the input"
IS_DESTROYED = f"{BEYOND}: the functions that fail change the network's output before any training"


def on_each_set(test: Callable[[Figures, str], Evidence]) -> Callable[[Figures], Evidence]:
    """Turn a criterion for one data set into one for both."""
    return lambda figures: all_of(
        {title: test(figures, data) for data, title in DATA_SETS.items()}, between=" "
    )


# -- what is learned ------------------------------------------------------------------------------


@on_each_set
def gelu_best(figures: Figures, data: str) -> Evidence:
    others = figures.on(data)
    gelu = others.pop(PRETRAINED)
    best = max(others, key=lambda row: others[row].accuracy)
    return Evidence(
        f"GELU {gelu.accuracy:.3f}, best other: {best} {others[best].accuracy:.3f}",
        {f"GELU − {row}": gelu.score() - one.score() for row, one in others.items()},
    )


@on_each_set
def three_learn(figures: Figures, data: str) -> Evidence:
    scores = {row: figures.on(data)[row].weighted_f1 for row in LEARN}
    level = majority_f1(MAJORITY[data])
    return Evidence(
        ", ".join(f"{row} {f1:.4f}" for row, f1 in scores.items()),
        {row: share(f1, TESTED) - level for row, f1 in scores.items()},
    )


@on_each_set
def others_have_one_answer(figures: Figures, data: str) -> Evidence:
    rarer = {row: known(figures.on(data)[row].rarer_answer) for row in OTHERS}
    failed = [row for row in OTHERS if (data, row) in figures.failed]
    return Evidence(
        f"{len(failed)} of {len(OTHERS)} give one answer",
        {
            f"{row}, {FEW} − share of the rarer answer": FEW - share(part, TESTED)
            for row, part in rarer.items()
        },
    )


@on_each_set
def exchange_costs(figures: Figures, data: str) -> Evidence:
    scores = {row: network.score() for row, network in figures.on(data).items()}
    gelu = scores.pop(PRETRAINED)
    first, *others = scores.values()
    mean = sum(others, start=first) * (1 / len(scores))
    said = f"GELU {gelu.value:.3f}, mean of the others {mean.value:.3f}"
    return Evidence(said, {"GELU − mean of the others": gelu - mean})


# -- why not --------------------------------------------------------------------------------------


def gradients_vanish(figures: Figures) -> Evidence:
    figures.on("cola")  # raises unless all are there
    shares = {(data, row): arrival(figures, data, row) for data, row in known(figures.failed)}
    times = [10**share.value for share in shares.values()]
    return Evidence(
        f"{min(times):.2g} to {max(times):.2g} times GELU's in {len(times)} networks",
        {
            f"{DATA_SETS[data]}, {row}, decades below {VANISHED}": math.log10(VANISHED) - share
            for (data, row), share in shares.items()
        },
    )


def representation_destroyed(figures: Figures) -> Evidence:
    figures.on("cola")  # raises unless all are there
    changes = {of: last_change(network) for of, network in figures.networks.items()}
    failed = {of: changes[of] for of in known(figures.failed)}
    others = [c for of, c in changes.items() if of not in failed and of[1] != PRETRAINED]
    said = f"{_range(failed.values())} of its size in the {len(failed)} that fail"
    if others:
        said += f", {_range(others)} in the {len(others)} others"
    return Evidence(
        said,
        {
            f"{DATA_SETS[data]}, {row}, change − {DESTROYED}": change - DESTROYED
            for (data, row), change in failed.items()
        },
    )


def _range(numbers: Iterable[Estimate]) -> str:
    values = [number.value for number in numbers]
    return f"{min(values):.2f} to {max(values):.2f}"


@on_each_set
def fresh_matrices_cost(figures: Figures, data: str) -> Evidence:
    gelu, fresh = figures.networks[data, PRETRAINED], known(figures.fresh)[data]
    said = f"{gelu.accuracy:.3f}, new {fresh.accuracy:.3f}"
    return Evidence(said, {"GELU − with new matrices": gelu.score() - fresh.score()})


@on_each_set
def gates_as_new(figures: Figures, data: str) -> Evidence:
    """On CoLA and SST-2 neither gate is behind GELU with new matrices by more than 5 points."""
    fresh = known(figures.fresh)[data]
    gates = {row: figures.on(data)[row] for row in GATED}
    each = ", ".join(f"{row} {network.accuracy:.3f}" for row, network in gates.items())
    return Evidence(
        f"{each}, GELU new {fresh.accuracy:.3f}",
        {
            f"{row} − GELU with new matrices + 0.05": network.score() - fresh.score() + 0.05
            for row, network in gates.items()
        },
    )


def smaller_rate_helps(figures: Figures) -> Evidence:
    """For the networks that give one answer with the study's learning rate."""
    failed = figures.failed
    tried = known({of: network for of, network in figures.slow.items() if of in failed})
    learned = sum(not network.has_one_answer for network in tried.values())
    return Evidence(
        f"{learned} of {len(tried)} then give both answers",
        {
            f"{DATA_SETS[data]}, {row}": share(network.weighted_f1, TESTED)
            - share(failed[data, row].weighted_f1, TESTED)
            for (data, row), network in tried.items()
        },
    )


# -- times ----------------------------------------------------------------------------------------


def extreme_time(row: str, first: bool) -> Callable[[Figures], Evidence]:
    """Whether a function is the fastest, or else the slowest, of those without a gate."""

    def seconds_of(figures: Figures, data: str) -> str:
        networks = {r: one for r, one in figures.on(data).items() if r not in GATED}
        seconds = {r: known(one.seconds) for r, one in networks.items()}
        other = (min if first else max)((r for r in seconds if r != row), key=seconds.__getitem__)
        return f"{row} {seconds[row]:.1f} s, {other} {seconds[other]:.1f} s"

    def test(figures: Figures) -> Evidence:
        said = (f"{title} {seconds_of(figures, data)}" for data, title in DATA_SETS.items())
        raise NotJudged(MACHINE, "; ".join(said))

    return test


ACCURACY = "test accuracy after the last epoch"
CLAIMS: list[Statement[Figures]] = [
    Statement(
        BEST,
        f"{ACCURACY}: above that of every other function on each set",
        gelu_best,
        "The published lead over ReLU and leaky ReLU on SST-2 is within chance.",
    ),
    Statement(
        "GELU, ReLU and leaky ReLU learn",
        "weighted F1 is above that of always giving the more frequent answer (0.5870 and 0.3997); "
        "its error is taken as that of a share of as many sentences",
        three_learn,
        "Accuracy does not show it: leaky ReLU's published 0.683 on CoLA is below the 0.708 of the "
        "more frequent class.",
    ),
    Statement(
        ONE_ANSWER,
        "with each of the eight other functions on each set, one of the two answers is given to "
        f"fewer than {100 * FEW:.0f}% of the test sentences",
        others_have_one_answer,
        "The published weighted F1 scores of 0.5870 and 0.3997 are exactly those of giving one "
        "answer to everything, which has a Matthews correlation of 0.",
    ),
    Statement(
        VANISHES,
        "before the first step, for each network that gives one answer: ‖∂L/∂θ‖ of the first block "
        f"over that of the classifier is below {VANISHED} of GELU's",
        gradients_vanish,
        "The study shows the gradients during training. A network that has settled on one "
        "answer has small gradients because nothing more can be learned from its last states; "
        "before the first step, the question is still open.",
    ),
    Statement(
        "Replacing the function that a network was pretrained with costs accuracy",
        f"{ACCURACY}: GELU against the mean of the ten others, on each set",
        exchange_costs,
    ),
    Statement(
        "ReLU is the fastest apart from GLU and SwiGLU",
        "time of an epoch on each set",
        extreme_time("ReLU", first=True),
    ),
    Statement(
        "Penalized tanh takes the longest",
        "time of an epoch on each set",
        extreme_time("Penalized Tanh", first=False),
        "Its gradient cannot be the reason: a step does the same work whatever the numbers are.",
    ),
    Statement(
        IS_DESTROYED,
        "before the first step, for each network that gives one answer: ‖y − y₀‖ / ‖y₀‖ is above "
        f"{DESTROYED:g}, with y the last block's output and y₀ that of the pretrained network",
        representation_destroyed,
        "Unrelated vectors of the same length differ by √2 = 1.41 times that length.",
    ),
    Statement(
        f"{BEYOND}: GELU itself loses accuracy with new output matrices",
        f"{ACCURACY}: GELU as it is against GELU with new output matrices",
        fresh_matrices_cost,
        "As run, GLU and SwiGLU have new output matrices, since theirs have half as many rows; the "
        "functions that they are compared with have pretrained ones.",
    ),
    Statement(
        f"{BEYOND}: GLU and SwiGLU are not worse than GELU with new output matrices",
        f"{ACCURACY}: less than 5 points behind on each set",
        gates_as_new,
    ),
    Statement(
        f"{BEYOND}: with a smaller learning rate, the functions that fail do better",
        "weighted F1: higher with a fifth of the learning rate, for each function that was tried "
        "and otherwise gives one answer",
        smaller_rate_helps,
    ),
]
