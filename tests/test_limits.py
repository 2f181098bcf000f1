"""Calls in docs/limits.md and refusals.md raise the errors given there; no name is missing."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import minidl
from minidl import (
    APL,
    GLU,
    SGD,
    ActivationLayer,
    Adam,
    AveragePool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Examples,
    Flatten,
    GlobalAveragePool2D,
    MaxPool2D,
    Network,
    PReLU,
    Residual,
    Sequential,
    SoftmaxCrossEntropy,
    train,
)
from minidl.training.step import _memory

ROOT = Path(__file__).parents[1]
PATHS = ROOT / "docs" / "limits.md", ROOT / "tests" / "refusals.md"
PAGES = [path.read_text(encoding="utf-8") for path in PATHS]
SET_UP = [re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0] for page in PAGES]
ROW = re.compile(r"^\| `(.+?)` \| (?:.+?) \| `(.+?)` \|$", re.MULTILINE)
ROWS = [row for page in PAGES for row in ROW.findall(page)]
EXEMPT = set(re.findall(r"`(\w+)`", PAGES[1].partition("## With nothing to refuse")[2]))

# The modules that users import names from.
PUBLIC = (
    *("minidl", "minidl.activations", "minidl.data", "minidl.gradcheck"),
    *("minidl.initializers", "minidl.inspection", "minidl.models", "minidl.propagation"),
    *("minidl.study.recording", "minidl.study", "minidl.training"),
)
# Classes whose methods users call; the methods of a layer are the same for all layers.
CLASSES = (
    *(minidl.Network, minidl.Examples, minidl.EarlyStopping, minidl.Augmentation),
    *(minidl.Layer, minidl.SGD, minidl.activations.Activation),
)
# Of these, the methods that minidl itself calls or that authors of a layer or a rule write.
INTERNAL = {
    *("Examples.draw", "Activation.f", "Activation.slope", "Activation.backward", "SGD.update"),
    *("Layer.bind", "Layer.initialize", "Layer.misfit", "Network.bind"),
    *("Sequential.inner_shapes", "Examples.check_network", "Network.expect_batch"),
    *("SGD.coefficients",),
    *("Layer.forward", "Layer.backward"),
    *(
        "Optimizer.coefficients",
        "Optimizer.expect_own",
        "Optimizer.expect_network",
        "Optimizer.rate",
        "Optimizer.resume",
    ),
    *(
        "Layer.check_tokens",
        "Network.check_tokens",
        "Network.accepts_shape",
        "Network.set_gradient_buffer",
    ),
    "Network.expect_views",
    *("Examples.check_inputs", "Examples.order"),
    *("Random.random_numbers", "Augmentation.sample", "Random.sample"),
}


def names():
    """The names that the code before the tables defines."""
    found = {}
    exec("".join(SET_UP), found)
    return found


@pytest.fixture(autouse=True)
def _sixteen_gigabytes(monkeypatch):
    monkeypatch.setattr("minidl.backend.arrays.memory_limit", lambda: 16_000_000_000)
    monkeypatch.chdir(ROOT)


def raised(call):
    """The error of a call, as the tables show it."""
    try:
        eval(call, names())
    except Exception as error:  # noqa: BLE001  # the type is in the table
        said = error.args[0] if isinstance(error, KeyError) else error
        return f"{type(error).__name__}: {said}"
    return "nothing"


def test_each_listed_call_raises_the_listed_error():
    wrong = {
        call: found
        for call, error in ROWS
        if not re.fullmatch(".*".join(map(re.escape, error.split("…"))), found := raised(call))
    }
    assert wrong == {}


def test_the_tables_were_found():
    lines = [line for page in PAGES for line in re.findall(r"^\| `.*", page, re.MULTILINE)]
    assert len(ROWS) == len(lines) > 150
    assert len({call for call, _ in ROWS}) == len(ROWS)  # each call once


@functools.cache
def called():
    """Every name that is called in the tables: functions, classes and methods."""
    found = set()
    for call, _ in ROWS:
        for node in ast.walk(ast.parse(call)):
            if isinstance(node, ast.Call):
                found.add(getattr(node.func, "attr", getattr(node.func, "id", "")))
    return found


def public():
    """``name, object`` of everything that the public modules export."""
    for path in PUBLIC:
        module = importlib.import_module(path)
        for name in getattr(module, "__all__", vars(module)):
            value = getattr(module, name)
            if not name.startswith("_") and getattr(value, "__module__", "").startswith(path):
                yield name, value


def parameters(function):
    return [name for name in inspect.signature(function).parameters if name != "self"]


def missing(found, listed):
    """The names of callables that take parameters and are in no table."""
    return sorted(
        name
        for name, value in found
        if name not in listed and callable(value) and not _is_error(value) and parameters(value)
    )


def _is_error(value):
    return inspect.isclass(value) and issubclass(value, Exception)


def test_every_public_name_is_in_a_table():
    assert missing(public(), called() | EXEMPT) == []


def test_every_public_method_is_in_a_table():
    methods = [
        (name, value)
        for cls in CLASSES
        for name, value in inspect.getmembers(cls, inspect.isfunction)
        if not name.startswith("_") and value.__qualname__ not in INTERNAL
    ]
    assert missing(methods, called() | EXEMPT) == []


def test_a_name_that_is_in_no_table_is_noticed():
    def added(value):
        return value

    assert missing([("added", added)], called() | EXEMPT) == ["added"]
    assert missing([("train", train)], called()) == []
    assert missing([("train", train)], called() - {"train"}) == ["train"]


def test_every_exempt_name_exists():
    assert {name for name, _ in public()} >= EXEMPT


# -- what is not refused ------------------------------------------------------------------------


def test_numbers_may_be_numpy_scalars():
    assert Dense(np.int64(3), np.uint8(2)).n_out == 2
    assert Dropout(np.float32(0.5)).rate == 0.5
    assert SGD(np.float64(1)).learning_rate == 1.0
    assert Network([Dense(3, 2)], np.int32(3), rng=np.int64(4)).input_shape == (3,)


def test_arrays_may_be_read_only_and_in_any_memory_layout():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (8, 6, 6, 2), dtype=np.uint8).transpose(0, 3, 1, 2)[::2]
    labels = np.array([0, 9, 1, 9, 2, 9, 0, 9])[::2]
    for array in (images, labels):
        array.setflags(write=False)
    losses = []
    for data in (Examples(images, labels), Examples(images.copy(), labels.copy())):
        network = Network([Conv2D(2, 3, 3), Flatten(), Dense(48, 3)], (2, 6, 6))
        (epoch,) = train(network, data, SoftmaxCrossEntropy(), Adam(), epochs=1, progress=False)
        losses.append(epoch.train_loss)
    assert losses[0] == losses[1]


# -- the estimate of memory -----------------------------------------------------------------------

MEASURED = {
    "dense": [Flatten(), Dense(1536, 300, "relu"), Dropout(0.5), Dense(300, 10)],
    "gates": [Flatten(), Dense(1536, 400), GLU(), PReLU(200), APL(200, 2), Dense(200, 10)],
    "pools": [Conv2D(6, 8, 3), MaxPool2D(2), AveragePool2D(2), Flatten(), Dense(72, 10)],
    "blocks": [
        Sequential(
            [Conv2D(6, 8, 3, padding=1, biases=None), BatchNorm(8), ActivationLayer("relu")]
        ),
        Residual([Conv2D(8, 16, 3, 2, 1), BatchNorm(16)], [Conv2D(8, 16, 1, 2)]),
        GlobalAveragePool2D(),
        Dense(16, 10),
    ],
}


@pytest.mark.parametrize("layers", MEASURED.values(), ids=MEASURED)
def test_the_estimate_is_below_what_a_training_run_takes(layers):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (128, 6, 16, 16), dtype=np.uint8)
    examples = Examples(images, np.arange(128) % 10)
    tracemalloc.start()
    try:
        network, optimizer = Network(layers, (6, 16, 16)), Adam()
        loss = SoftmaxCrossEntropy()
        list(train(network, examples, loss, optimizer, epochs=1, batch_size=128, progress=False))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    estimate = _memory(network, examples, optimizer, 128)
    assert 0.1 * peak < estimate <= peak
