"""A training run that is interrupted anywhere and resumed gives the same result as without."""

from __future__ import annotations

import copy
import threading
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from minidl import (
    SGD,
    Adam,
    AdamW,
    Augmentation,
    BatchNorm,
    Conv2D,
    CosineAnnealing,
    Dense,
    Dropout,
    EarlyStopping,
    Examples,
    Flatten,
    Layer,
    LinearWarmUp,
    Network,
    NonFiniteLoss,
    RMSprop,
    RReLU,
    SoftmaxCrossEntropy,
    evaluate,
)
from minidl.backend import CPU, Device, to_numpy
from minidl.gpu import train
from minidl.optimizers import is_matrix
from minidl.storage.sealed import write_sealed
from minidl.study.recording import History, record
from minidl.training.checkpoint import Checkpoint, CheckpointError, Stopped
from minidl.training.software import Software
from minidl.training.start import settings

RNG = np.random.default_rng(5)
IMAGES = Examples(RNG.integers(0, 256, (36, 2, 6, 6), dtype=np.uint8), RNG.integers(0, 4, 36))
TEST = IMAGES.first(20)
STEPS = 3  # per epoch: batches of 16, the last of 4
EPOCHS = 3
LOSS = SoftmaxCrossEntropy()


def network(device: Device = CPU, units: int = 4, rng=0) -> Network:
    layers = [
        *(Conv2D(2, 3, 3, activation="relu"), BatchNorm(3), Flatten()),
        *(Dense(48, 8, "tanh"), Dropout(0.5), Dense(8, 8), RReLU(), Dense(8, units)),
    ]
    return Network(layers, (2, 6, 6), rng=rng, device=device)


class Killed(Exception):
    """Ends a training run in these tests, without anything being written."""


def train_once(
    checkpoint: Checkpoint | None,
    optimizer=Adam,
    device: Device = CPU,
    die_before: int | None = None,
    order: np.random.Generator | int = 3,
    graph: bool = True,
):
    """The results of a training run: parameters, state, and its epochs."""
    net = network(device)
    kept = History()
    if checkpoint is not None:
        kept = checkpoint.track("history", kept)
    steps = 0

    def watch(epoch: int, step: int) -> None:
        nonlocal steps
        if steps == die_before:
            raise Killed
        steps += 1

    rule = optimizer()
    schedule = CosineAnnealing(rule.learning_rate, epochs=EPOCHS)
    options = {"rng": order, "augment": Augmentation(1, rng=8), "graph": graph, "watch": watch}
    options |= {"epochs": EPOCHS, "batch_size": 16, "progress": False, "checkpoint": checkpoint}
    for epoch in train(net, IMAGES, LOSS, rule, **options):
        kept.train_loss.append(epoch.train_loss)
        kept.train_accuracy.append(epoch.train_accuracy)
        kept.test_loss.append(float(np.abs(to_numpy(epoch.update)).sum(dtype=np.float64)))
        rule.learning_rate = schedule(epoch.number)
    figures = kept.train_loss, kept.train_accuracy, kept.test_loss
    return to_numpy(net.theta).tobytes(), to_numpy(net.state).tobytes(), figures


def killed(path, die_before, every=1, **options):
    with pytest.raises(Killed):
        train_once(Checkpoint(path, every), die_before=die_before, **options)


def test_killed_after_any_step_with_a_checkpoint_at_each(device, tmp_path):
    for graph in (True, False) if device.is_cuda else (True,):
        options = {"device": device, "graph": graph}
        whole = train_once(None, **options)
        for die in range(STEPS * EPOCHS):
            path = tmp_path / f"{die} {graph}"
            killed(path, die, **options)
            assert train_once(Checkpoint(path, every=1), **options) == whole


@pytest.mark.parametrize(
    "rule",
    [lambda: SGD(0.1), lambda: SGD(0.1, momentum=0.9), RMSprop, AdamW],
    ids=["sgd", "momentum", "rmsprop", "adamw"],
)
def test_with_any_optimizer(rule, tmp_path):
    killed(tmp_path / "a", STEPS + 1, optimizer=rule)
    assert train_once(Checkpoint(tmp_path / "a"), rule) == train_once(None, rule)


def test_with_any_numpy_generator(tmp_path):
    for kind in ("MT19937", "PCG64DXSM", "Philox", "SFC64"):

        def order(kind=kind) -> np.random.Generator:
            return np.random.Generator(getattr(np.random, kind)(9))

        killed(tmp_path / kind, STEPS + 2, every=2, order=order())
        found = train_once(Checkpoint(tmp_path / kind), order=order())
        assert found == train_once(None, order=order()), kind


class Noise(Layer):
    """A user's layer that draws by itself, from a generator of its own."""

    def __init__(self):
        self.source = np.random.default_rng(3)

    def forward(self, x, training=False):
        noise = self.source.normal(size=x.shape).astype(x.dtype) if training else 0
        self.x, self.y = x, x + noise
        return self.y

    def backward(self, dy, input_gradient=True):
        return dy


GLOBAL = np.random.default_rng(0)


def brighter(images, rng):
    return images + images.dtype.type(rng.integers(0, 50))


def augmentations():
    """Functions of a user's own that draw, from wherever."""
    rng = np.random.default_rng(5)
    GLOBAL.bit_generator.state = rng.bit_generator.state
    yield "in a closure", lambda images: brighter(images, rng)
    yield "global", lambda images: brighter(images, GLOBAL)
    yield "default", lambda images, rng=rng: brighter(images, rng)
    yield "partial", partial(brighter, rng=rng)
    yield "method", Brightness(rng).change


class Brightness:
    def __init__(self, rng):
        self.rng = rng

    def change(self, images):
        return brighter(images, self.rng)


@pytest.mark.parametrize("name", dict(augmentations()))
def test_with_random_numbers_of_a_users_own(name, tmp_path):
    def run(path, die_before=None):
        net = Network([Flatten(), Dense(72, 4), Noise()], (2, 6, 6), rng=1)
        steps = []

        def watch(epoch, step):
            if len(steps) == die_before:
                raise Killed
            steps.append(step)

        options = {"epochs": 2, "batch_size": 16, "progress": False, "watch": watch}
        options["augment"] = dict(augmentations())[name]
        for _ in train(net, IMAGES, LOSS, Adam(), checkpoint=Checkpoint(path, 1), **options):
            pass
        return net.theta

    with pytest.raises(Killed):
        run(tmp_path / "a", 4)
    np.testing.assert_array_equal(run(tmp_path / "a"), run(tmp_path / "whole"))


def test_killed_twice_and_killed_again(tmp_path):
    whole = train_once(None)
    for every in (None, 2):
        path = tmp_path / str(every)
        for die in (4, 1, 3):
            killed(path, die, every)
        assert train_once(Checkpoint(path, every)) == whole
        assert train_once(Checkpoint(path, every)) == whole  # nothing left to do


def test_stop_ends_after_the_step_and_writes(tmp_path):
    stop = threading.Event()
    stop.set()
    path = tmp_path / "a.checkpoint"
    for _ in range(STEPS * EPOCHS):  # one step per start
        with pytest.raises(Stopped):
            train_once(Checkpoint(path, stop=stop))
    assert train_once(Checkpoint(path)) == train_once(None)


def test_early_stopping_resumes_with_its_best_weights(tmp_path):
    values = [3.0, 1.0, 2.0, 1.5, 1.2]

    def run(checkpoint: Checkpoint, epochs: int) -> tuple[bytes, int]:
        net = network()
        stopping = checkpoint.track("stopping", EarlyStopping(3))
        options = {"epochs": epochs, "progress": False, "checkpoint": checkpoint}
        for epoch in train(net, IMAGES, LOSS, Adam(), **options):
            if stopping.update(net, values[epoch.number - 1]):
                break
        stopping.restore(net)
        return net.theta.tobytes(), stopping.epoch

    whole = run(Checkpoint(tmp_path / "whole"), 9)
    assert whole[1] == 5
    for epochs in (1, 2, 4):
        run(Checkpoint(tmp_path / str(epochs)), epochs)
        assert run(Checkpoint(tmp_path / str(epochs)), 9) == whole


def test_record_keeps_its_history(tmp_path):
    def run(checkpoint: Checkpoint | None, epochs: int = 3) -> History:
        options = {"epochs": epochs, "batch_size": 16, "progress": False}
        return record(network(), IMAGES, TEST, LOSS, Adam(), checkpoint=checkpoint, **options)

    whole = run(None)
    run(Checkpoint(tmp_path / "a"), 2)
    found = run(Checkpoint(tmp_path / "a"))
    assert (found.test_loss, found.probes) == (whole.test_loss, whole.probes)


def test_an_average_in_a_copied_network_resumes_and_is_saved(tmp_path):
    def run(path, epochs=EPOCHS):
        net = copy.deepcopy(network())  # a copy trains, and resumes, like the network itself
        checkpoint, averaged = Checkpoint(path), net.copy()
        kept = checkpoint.track("average", np.zeros_like(net.theta))
        options = {"epochs": epochs, "batch_size": 16, "progress": False}
        for epoch in train(net, IMAGES, LOSS, Adam(), checkpoint=checkpoint, **options):
            kept += (net.theta - kept) / epoch.number
        averaged.theta[...] = kept
        averaged.save(tmp_path / "average.npz")
        loaded = network(rng=5)
        loaded.load(tmp_path / "average.npz")
        x = TEST.inputs / np.float32(255)
        np.testing.assert_array_equal(loaded.predict(x), averaged.predict(x))
        assert not np.array_equal(loaded.predict(x), net.predict(x))
        return loaded.theta

    whole = run(tmp_path / "whole")
    run(tmp_path / "a", 2)
    np.testing.assert_array_equal(run(tmp_path / "a"), whole)


def test_several_training_runs_of_one_task_have_separate_parts(tmp_path):
    whole = Checkpoint(tmp_path / "a.checkpoint")
    first, second = whole.child("first"), whole.child("second")
    with pytest.raises(ValueError, match="expected each name only once, got first again"):
        whole.child("first")
    train_once(first)
    assert train_once(second) == train_once(None)
    assert {path.name for path in tmp_path.iterdir()} == {
        f"a.{part}.checkpoint{end}" for part in ("first", "second") for end in ("", ".previous")
    }
    first.remove()
    assert {path.name.split(".")[1] for path in tmp_path.iterdir()} == {"second"}


def test_evaluations_do_not_affect_the_run(tmp_path):
    """Evaluations between epochs draw no random numbers, so they may differ between starts."""
    killed(tmp_path / "a", STEPS + 2, every=None)
    evaluate(network(), TEST, LOSS)
    assert train_once(Checkpoint(tmp_path / "a")) == train_once(None)


def test_training_that_diverges_leaves_its_last_finite_checkpoint(tmp_path):
    def run() -> None:
        rule = SGD(0.1)
        options = {"epochs": 3, "batch_size": 16, "progress": False}
        checkpoint = Checkpoint(tmp_path / "a")
        for _ in train(network(), IMAGES, LOSS, rule, checkpoint=checkpoint, **options):
            rule.learning_rate = 1e38

    for _ in range(2):  # a second start gives the same error
        with pytest.raises(NonFiniteLoss, match="epoch 2, step 2: the loss is"):
            run()
    saved = Checkpoint(tmp_path / "a")._saved
    assert saved.position.epochs == 1
    assert np.isfinite(saved.theta).all()


# -- damage -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The files of a checkpoint after five steps, and of the one before it, and the whole run."""
    folder = tmp_path_factory.mktemp("written")
    killed(folder / "a", 5)
    return {path.name: path.read_bytes() for path in folder.iterdir()}, train_once(None)


@pytest.fixture
def interrupted(written, tmp_path):
    for name, contents in written[0].items():
        (tmp_path / name).write_bytes(contents)
    return tmp_path / "a", tmp_path / "a.previous"


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "gone"])
def test_a_damaged_checkpoint_is_replaced_by_the_one_before(damage, interrupted, written, capsys):
    path, previous = interrupted
    contents = path.read_bytes()
    if damage == "gone":  # killed while it wrote this one
        path.rename(path.with_name(".a.minidl-1-2.part"))
    else:
        middle = len(contents) // 2
        flipped = contents[:middle] + bytes([contents[middle] ^ 4]) + contents[middle + 1 :]
        bad = {"truncated": contents[:middle], "flipped": flipped, "empty": b""}
        path.write_bytes(bad[damage])
    before = previous.read_bytes()
    assert Checkpoint(path)._saved.t == 4
    assert previous.read_bytes() == before
    assert train_once(Checkpoint(path)) == written[1]
    said = capsys.readouterr().err
    assert ("a.previous is used" in said) is (damage != "gone")
    assert {p.name for p in path.parent.iterdir()} <= {"a", "a.previous"}


def test_if_both_are_damaged_the_error_says_what_to_do(interrupted):
    for path in interrupted:
        path.write_bytes(b"rubbish")
    with pytest.raises(CheckpointError, match=r"a: expected .*; .*a\.previous: expected .*--fresh"):
        Checkpoint(interrupted[0])


def test_a_damaged_file_never_becomes_the_previous_one(interrupted, written):
    path, previous = interrupted
    path.write_bytes(b"rubbish")
    good = previous.read_bytes()
    killed(path, 1)
    assert previous.read_bytes() == good
    path.write_bytes(b"rubbish again")
    assert train_once(Checkpoint(path)) == written[1]


def test_a_full_disk_leaves_the_earlier_checkpoints(interrupted, written, monkeypatch):
    path, previous = interrupted
    kept = path.read_bytes()

    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        train_once(Checkpoint(path, every=1))
    monkeypatch.undo()
    assert kept in (path.read_bytes() if path.exists() else b"", previous.read_bytes())
    assert {p.name for p in path.parent.iterdir()} <= {"a", "a.previous"}
    assert train_once(Checkpoint(path)) == written[1]


# -- checkpoints of another training run ------------------------------------------------------


def refused(path, words, **other):
    """Resuming the run of :func:`train_once` with something else is an error, nothing changes."""
    options = {"net": network(), "optimizer": Adam(), "examples": IMAGES, "rng": 3} | other
    options = {"augment": Augmentation(1, rng=8), "batch_size": 16, "loss": LOSS} | options
    parts = [options.pop(name) for name in ("net", "examples", "loss", "optimizer")]
    theta = parts[0].theta.copy()
    with pytest.raises(CheckpointError, match=f"is of another training run: .*{words}.*--fresh"):
        list(train(*parts, epochs=3, progress=False, checkpoint=Checkpoint(path), **options))
    np.testing.assert_array_equal(parts[0].theta, theta)


MERSENNE = np.random.Generator(np.random.MT19937(0))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"net": lambda: network(units=5)}, r"expected Network\(.*Dense\(8 -> 5.*got Network"),
        ({"net": lambda: network(rng=1)}, r"expected first parameters \w{16}, .* got first param"),
        ({"rng": 4}, r"expected random generators \w{16}, got random generators \w{16}; "),
        ({"rng": MERSENNE}, "expected random generators"),
        (
            {"optimizer": lambda: Adam(0.01)},
            r"optimizer Adam\(learning_rate=0.01, .*got optimizer Adam\(learning_rate=0.001",
        ),
        (
            {"optimizer": lambda: Adam(LinearWarmUp(0.001, 9))},
            r"Adam\(learning_rate='LinearWarmUp\(peak=0.001, steps=9, .*got optimizer Adam\(lea",
        ),
        ({"optimizer": lambda: Adam(l2=0.1)}, r"got optimizer Adam\(learning_rate=0.001, l2=0.0"),
        ({"augment": lambda: Augmentation(2, rng=8)}, r"augmentation Augmentation\(padding=2"),
        (
            {"examples": lambda: Examples(IMAGES.inputs[::-1], IMAGES.targets)},
            r"expected examples \w{16}, got examples \w{16}; ",
        ),
        ({"optimizer": RMSprop}, "expected vectors .*'s'.*, got vectors .*'m'"),
        ({"augment": None}, "expected 3 generators, got 4"),
        ({"batch_size": 8}, "expected losses float32 \\(16,\\), got losses float32 \\(32,\\)"),
        ({"examples": lambda: IMAGES.first(34)}, "expected an order of 34 examples"),
    ],
)
def test_a_checkpoint_of_another_training_run_is_refused(other, words, interrupted):
    other = {name: value() if callable(value) else value for name, value in other.items()}
    refused(interrupted[0], words, **other)


def test_contents_that_do_not_fit_change_nothing(interrupted):
    saved = Checkpoint(interrupted[0])._saved

    def changed(words, **other):
        write_sealed(interrupted[0], replace(saved, **other))
        refused(interrupted[0], words)

    for name in ("losses", "hits"):
        for wrong in (np.zeros((32, 1), np.float32), np.array(1, np.float32), np.zeros(32)):
            changed(f"expected {name} float32", **{name: wrong})
    changed("learning_rate of at least 0, got -1", learning_rate=-1.0)
    for order in (np.zeros(36, int), np.arange(36.0), np.arange(36)[:, None]):
        position = replace(saved.position, order=order)
        changed("expected an order of 36 examples", position=position)


def test_an_option_that_only_one_of_them_has_makes_another_run(interrupted):
    with pytest.raises(CheckpointError, match="expected seed 3, got seed not there"):
        Checkpoint(interrupted[0], identity={"seed": "3"})
    write_sealed(interrupted[0], replace(Checkpoint(interrupted[0])._saved, of={"seed": "3"}))
    with pytest.raises(CheckpointError, match="expected seed not there, got seed 3"):
        Checkpoint(interrupted[0])


def test_everything_to_be_kept_must_be_in_the_checkpoint(interrupted):
    with pytest.raises(CheckpointError, match="expected stopping in it"):
        Checkpoint(interrupted[0]).track("stopping", EarlyStopping(3))
    with pytest.raises(ValueError, match="expected EarlyStopping"):
        Checkpoint(interrupted[0]).track("history", EarlyStopping(3))


def test_a_return_to_the_first_software_is_reported_once(tmp_path, monkeypatch, capsys):
    now = Software.now()
    other = Software(now.parts | {"NumPy": "1.0"})
    for software in (now, other, now):
        monkeypatch.setattr(Software, "now", lambda software=software: software)
        killed(tmp_path / "a", 2)
    checkpoint = Checkpoint(tmp_path / "a")
    train_once(checkpoint)
    assert checkpoint.software() == [other, now]
    said = capsys.readouterr().err
    assert said.count("resumed with other software than before: NumPy") == 2


# -- misuse -----------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written_to_is_refused_before_training(tmp_path):
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "missing" / "a", tmp_path / "folder"):
        with pytest.raises(CheckpointError, match="expected a file in a folder that exists and"):
            Checkpoint(path)


def test_one_checkpoint_serves_one_training_run(tmp_path):
    checkpoint = Checkpoint(tmp_path / "a")
    train_once(checkpoint)
    before = (tmp_path / "a").read_bytes()
    options = {"epochs": 3, "progress": False, "checkpoint": checkpoint}
    with pytest.raises(
        CheckpointError, match=r"got a second; use checkpoint.child\(name\) for anoth"
    ):
        next(train(network(), TEST, LOSS, Adam(), **options))
    assert (tmp_path / "a").read_bytes() == before


def test_what_could_not_be_kept_is_refused(tmp_path):
    checkpoint = Checkpoint(tmp_path / "a")
    for value in (0.0, 3, np.float32(1), "text", (1, 2)):
        with pytest.raises(ValueError, match="expected best to be an object that changes in place"):
            checkpoint.track("best", value)
    for value, told in (
        (network(), "expected best to be a list, a dict, an array or a dataclass of these"),
        (
            [Software({})],
            r"the kind of best, .* would be read as \[\{'parts': \{\}\}",
        ),
        (
            {"average": np.zeros(3)},
            r"the kind of best, such as dict\[str, numpy.ndarray\]",
        ),
    ):
        with pytest.raises(ValueError, match=told):
            checkpoint.track("best", value)
    with pytest.raises(
        ValueError, match=r"expected identity to be a dict of strings, got {'seed': 3}"
    ):
        Checkpoint(tmp_path / "a", identity={"seed": 3})
    checkpoint.track("average", {"average": np.zeros(3)}, dict[str, np.ndarray])
    checkpoint.track("history", [])
    with pytest.raises(ValueError, match="expected each name only once, got history again"):
        checkpoint.track("history", [])


def test_the_settings_of_an_augmentation_are_the_same_once_it_has_drawn():
    augment = Augmentation(1, rng=8)
    before = settings(augment)
    augment(np.zeros((2, 3, 4, 4), np.uint8))
    assert vars(augment).keys() > {"is_ahead", "u"}
    assert settings(augment) == before


def test_a_run_with_other_weight_decay_is_another_run():
    """An optimizer without the new options is named as before: earlier checkpoints resume."""
    vector = np.array([0.1, 0.2])
    assert "decays" not in settings(AdamW())
    assert "weight_decay=0.01" in settings(AdamW())
    assert settings(AdamW(decays=is_matrix)).endswith("decays='is_matrix')")
    assert settings(AdamW(weight_decay=vector)) == settings(AdamW(weight_decay=vector.copy()))
    assert settings(AdamW(weight_decay=vector)) != settings(AdamW(weight_decay=2 * vector))
