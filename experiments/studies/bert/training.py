"""The networks of the BERT study: which are trained, how each starts, what is kept of it."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minidl import AdamW, Network, SoftmaxCrossEntropy
from minidl.backend import Array, Device, to_numpy
from minidl.data import Dataset, Sentences
from minidl.data.glue import Texts, load_texts
from minidl.inspection import GradientStats, gradient_stats
from minidl.layers.encoder_block import GATES
from minidl.metrics import ClassReport, class_report, predict_labels
from minidl.models import Pretrained, load_bert
from minidl.models.bert_tensors import tensors_of
from minidl.study import Run
from minidl.study.histories import by_epoch
from minidl.study.recording import History
from minidl.study.seeds import batches_rng, weights_rng
from minidl.training.checkpoint import Checkpoint

DATA_SETS = {"cola": "CoLA", "sst-2": "SST-2"}
TESTED = 1000  # training sentences that are held out for the test
# The rows of the tables, and the function that was run under that name.
FUNCTIONS = {
    "ReLU": "relu",
    "GELU": "gelu",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "ELU": "elu",
    "LReLU": "leaky_relu",
    "Swish": "swish",
    "ReLU_2": "square",
    "Penalized Tanh": "penalized_tanh",
    "GLU": "glu",
    "SwiGLU": "swiglu",
}
PRETRAINED = "GELU"
DESCRIBED = {"ReLU_2": "squared_relu", "GLU": "glu", "SwiGLU": "swiglu"}  # that differ in the text
SLOW = ("ReLU", "GELU", "Tanh", "Sigmoid", "Swish", "ReLU_2")  # also with a smaller learning rate
# Those that are trained with several seeds.
REPEATED = (("GELU", "as_run"), ("GELU", "fresh"), ("ReLU", "as_run"), ("Tanh", "as_run"))
SLOWER = 0.2  # times the learning rate
TEST_BATCH = 32  # sentences: more of them at once do not fit the cache
PROBED, BATCHES = 16, 4  # sentences in a batch that is probed before training, and batches


@dataclass(frozen=True)
class Size:
    """How much is trained on: as published, or little enough for a CPU."""

    sentences: int  # for training, at most
    cola_epochs: int
    sst_2_epochs: int
    learning_rate: float
    batch_size: int = 16

    def epochs(self, data: str) -> int:
        return self.cola_epochs if data == "cola" else self.sst_2_epochs


FULL = Size(66_349, 3, 1, 5e-5)
REDUCED = Size(2_000, 3, 1, 5e-5)


class Cell(NamedTuple):
    """One network: a row of the tables on one of the data sets.

    ``way`` is ``as_run``, ``as_described``, ``fresh`` (as run, but with new output matrices of
    the feed-forward parts) or ``slow`` (as run, with a smaller learning rate).
    """

    data: str
    row: str
    way: str
    seed: int

    def __str__(self) -> str:
        """The name of its files."""
        return f"{self.data}-{self.row}-{self.way}-seed{self.seed}".replace(" ", "_")


def cells(seeds: Sequence[int]) -> Iterator[Cell]:
    """All networks of the first seed, some of the later ones."""
    whole = [(row, "as_run") for row in FUNCTIONS]
    whole += [(row, "as_described") for row in DESCRIBED]
    whole += [(PRETRAINED, "fresh"), *((row, "slow") for row in SLOW)]
    for seed in seeds:
        for data in DATA_SETS:
            for row, way in whole if seed == seeds[0] else REPEATED:
                yield Cell(data, row, way, seed)


# -- data -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, kw_only=True)
class Tokens(Dataset):
    """Sentences as tokens, with the network whose vocabulary they use."""

    pretrained: Pretrained

    def digest(self) -> str:
        """A digest of the sentences and of the weights that a network starts from."""
        found = hashlib.sha256(super().digest().encode())
        for name, values in sorted(self.pretrained.tensors.items()):
            found.update(f"{name} {values.dtype.str} {values.shape}\0".encode())
            found.update(np.ascontiguousarray(values).data)
        return found.hexdigest()


def split(texts: Texts) -> tuple[Texts, Texts]:
    """Training and test sentences: the study's own test set, which its code draws with seed 42."""
    rows = list(range(len(texts)))
    random.Random(42).shuffle(rows)
    return texts.take(rows[TESTED:]), texts.take(rows[:TESTED])


def tokens(name: str, data_dir: Any, source: Pretrained, sentences: int) -> Tokens:
    """The first ``sentences`` of the training part, and all test sentences."""
    data, tokenizer = load_texts(name, data_dir), source.tokenizer()
    train, test = split(data.train)
    kept = train.take(np.arange(min(sentences, len(train))))
    return Tokens(
        name=data.name,
        title=data.title,
        train=kept.tokens(tokenizer, source.sizes.positions),
        test=test.tokens(tokenizer, source.sizes.positions).by_length(),
        classes=data.classes,
        source=data.source,
        pretrained=source,
    )


# -- networks -------------------------------------------------------------------------------------


def build_network(source: Pretrained, cell: Cell, device: Device | str) -> Network:
    """The pretrained network with the cell's function in every block.

    The text keeps the pretrained weights, so as described, a gated function keeps the half of
    each output matrix that it has inputs for; as run, it gets a new one.
    """
    described = cell.way == "as_described"
    function = DESCRIBED[cell.row] if described else FUNCTIONS[cell.row]
    fresh, rng = cell.way == "fresh", weights_rng(cell.seed)
    network = load_bert(source, 2, function, fresh_output=fresh, rng=rng, device=device)
    if described and function in GATES:
        for name, (layer, parameter, _) in tensors_of(source.sizes, pooler=False).items():
            if layer.endswith(".feed_forward.dense_2"):
                array, values = getattr(network[layer], parameter), source.tensors[name]
                half = values.T[: len(array)] if parameter == "W" else values
                array[...] = network.device.asarray(np.ascontiguousarray(half), network.dtype)
    return network


def block_states(network: Network, blocks: int) -> list[np.ndarray]:
    """The output of each block in the last forward pass.  (N, T, D) each"""
    return [to_numpy(network[f"block_{i + 1}"].y) for i in range(blocks)]


def by_block(gradients: Sequence[GradientStats], blocks: int) -> list[float]:
    """‖∂L/∂θ‖ of each block, and of the classifier."""
    names = [*(f"block_{i + 1}." for i in range(blocks)), "classifier"]
    squares = [
        [g.l2_norm**2 for g in gradients if f"{g.layer}.".startswith(name)] for name in names
    ]
    return [float(np.sqrt(sum(some))) for some in squares]


def likeness(first: np.ndarray) -> float:
    """The mean cosine of the vectors (N, D) of any two different sentences."""
    unit = first / np.linalg.norm(first, axis=1, keepdims=True)
    n = len(unit)
    return float((np.square(unit.sum(axis=0)).sum() - n) / (n * (n - 1)))


class Before(NamedTuple):
    """A network before its first step, on a few batches of training sentences."""

    change: list[list[float]]  # (batches, blocks) ‖y − y₀‖ / ‖y₀‖; y₀ of the pretrained network
    likeness: list[list[float]]  # (batches, blocks)
    gradients: list[list[float]]  # (batches, blocks + 1), the last one of the classifier


Batch = tuple[Array, Array]


def batches(examples: Sentences, network: Network) -> list[Batch]:
    starts = range(0, min(PROBED * BATCHES, len(examples) - PROBED + 1), PROBED)
    return [examples.batch(i, i + PROBED, network.dtype) for i in starts]


def originals(source: Pretrained, examples: Sentences, device: Device) -> list[list[np.ndarray]]:
    """The outputs of the pretrained network's blocks for each batch."""
    network, found = load_bert(source, 2, device=device), []
    for x, _ in batches(examples.to(device), network):
        network.forward(x)
        found.append(block_states(network, source.sizes.blocks))
    return found


def before(network: Network, examples: Sentences, original: list[list[np.ndarray]]) -> Before:
    """``original``: the outputs of the pretrained network's blocks, batch by batch."""
    found, blocks = Before([], [], []), len(original[0])
    for (x, targets), theirs in zip(
        batches(examples.to(network.device), network), original, strict=True
    ):
        _, dlogits = SoftmaxCrossEntropy()(network.forward(x), targets, "sum")
        network.backward(dlogits)
        ours, is_token = block_states(network, blocks), to_numpy(x) != examples.padding
        found.change.append(
            [
                float(np.linalg.norm((y - y_0)[is_token]) / np.linalg.norm(y_0[is_token]))
                for y, y_0 in zip(ours, theirs, strict=True)
            ]
        )
        found.likeness.append([likeness(y[:, 0]) for y in ours])
        found.gradients.append(by_block(gradient_stats(network), blocks))
    return found


# -- training -------------------------------------------------------------------------------------


class Outcome(NamedTuple):
    """What is kept of one training run."""

    history: History
    before: Before
    confusion: list[list[int]]  # of the test sentences, after the last epoch

    def block(self) -> dict[str, Any]:
        """For the summary."""
        report = class_report_of(self.confusion)
        blocks = len(self.before.change[0])
        return by_epoch(self.history) | {
            "confusion": self.confusion,
            "accuracy": report.accuracy,
            "weighted_f1": report.weighted.f1,
            "matthews": report.matthews,
            "before": self.before._asdict(),
            "gradients": [by_block(probe.gradients, blocks) for probe in self.history.probes],
        }


def class_report_of(confusion: Sequence[Sequence[int]]) -> ClassReport:
    """The scores of a confusion matrix."""
    return ClassReport(("0", "1"), np.array(confusion, np.int64))


def train(
    run: Run,
    size: Size,
    cell: Cell,
    data: Tokens,
    original: list[list[np.ndarray]],
    checkpoint: Checkpoint,
) -> Outcome:
    """Train the network of a cell as the study did: AdamW without decay, schedule and clipping."""
    network = build_network(data.pretrained, cell, run.device)
    assert isinstance(data.train, Sentences)
    start = before(network, data.train, original)
    rate = size.learning_rate * (SLOWER if cell.way == "slow" else 1)
    history = run.record(
        str(cell),
        f"seed {cell.seed}  {DATA_SETS[cell.data]:<5}  {cell.row}, {cell.way:<14}",
        *(network, data.train, data.test),
        AdamW(rate, epsilon=1e-6, weight_decay=0.0, epsilon_hat=True),
        epochs=size.epochs(cell.data),
        batch_size=size.batch_size,
        rng=batches_rng(cell.seed),
        checkpoint=checkpoint,
        test_batch_size=TEST_BATCH,
        vocabulary=data.pretrained.vocabulary,
    )
    answers = predict_labels(network, data.test, TEST_BATCH)
    report = class_report(to_numpy(data.test.targets), answers, data.classes)
    return Outcome(history, start, report.confusion.tolist())
