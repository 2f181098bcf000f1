"""What errors tell users to do, done: it gives the right thing, not something silently wrong."""

from __future__ import annotations

import re

import numpy as np
import pytest

from minidl import (
    Dense,
    Examples,
    Flatten,
    MeanSquaredError,
    Network,
    SoftmaxCrossEntropy,
    fit,
    probe,
)
from minidl.data import DatasetNotFound, load
from minidl.data.likeness import expect_same_scale
from minidl.losses import BinaryCrossEntropy
from minidl.training.fit import as_examples

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (30, 1, 4, 4), dtype=np.uint8)
BYTES[0, 0, 0, :2] = 0, 255
LABELS = np.arange(30) % 3
SCALED = BYTES / np.float32(255)


def network(shape=(1, 4, 4), outputs=3):
    return Network([Flatten(), Dense(int(np.prod(shape)), outputs)], shape)


def advice(call) -> str:
    with pytest.raises((ValueError, TypeError)) as e:
        call()
    return str(e.value)


EXPRESSION = (
    r"\(NAME[.\w()']* / \d+\)\.astype\('\w+'\)"
    r"|\bNAME(?:\[[^]]*\]|\.(?:astype|transpose|reshape)\((?:[^()]|\([^()]*\))*\))"
)


def followed(told: str, **name_and_value):
    """The value of the first expression in the message that uses the name."""
    (name,) = name_and_value
    return eval(re.search(EXPRESSION.replace("NAME", name), told)[0], dict(name_and_value))


@pytest.mark.parametrize(
    "pixels",
    [
        BYTES.astype(np.int64),
        BYTES.astype(np.int16),
        BYTES.view(np.int8),
        BYTES.astype(np.uint16),
        BYTES.astype(np.uint16) * 257,
    ],
    ids=["int64", "int16", "int8", "uint16 of 8 bits", "uint16"],
)
def test_pixels_of_any_integers_become_what_bytes_become(pixels):
    told = advice(lambda: Examples(pixels, LABELS))
    np.testing.assert_array_equal(followed(told, inputs=pixels), SCALED)
    assert "tokens are for Sentences" in told
    told = advice(lambda: network().forward(pixels))
    np.testing.assert_array_equal(followed(told, x=pixels), SCALED)


def test_bytes_for_a_layer_become_what_fit_makes_of_them():
    for call, x in ((network().forward, BYTES), (Dense(16, 3).build(), BYTES.reshape(30, 16))):
        told = advice(lambda call=call, x=x: call(x))
        np.testing.assert_array_equal(followed(told, x=x), x / np.float32(255))


def test_bytes_that_are_no_pixels_are_not_made_almost_zero():
    features = (BYTES > 9).astype(np.uint8)  # as pandas made of categories for years
    for call in (
        lambda: fit(network(), features, LABELS, progress=False),
        lambda: network().predict(features),
        lambda: probe(network(), SoftmaxCrossEntropy(), features, LABELS),
    ):
        np.testing.assert_array_equal(followed(advice(call), x=features), features)
    told = advice(lambda: Examples(features, LABELS))
    np.testing.assert_array_equal(followed(told, inputs=features), features)
    assert Examples(features, LABELS, divisor=255).first(2).divisor == 255  # almost black images


def test_numbers_do_not_lose_their_imaginary_part():
    assert "inputs.real.astype('float32')" in advice(lambda: Examples(SCALED + 1j, LABELS))


def test_other_types_are_converted_as_they_are():
    assert "convert it with inputs.astype('float32')" in advice(lambda: Examples(BYTES > 9, LABELS))
    x = SCALED.astype(">f4")
    told = advice(lambda: network().forward(x))
    assert "expected x of type float32, got one of the other byte order (>f4)" in told
    network().forward(followed(told, x=x))
    assert Examples(x, LABELS).batch(0, 1, np.dtype("float32"))[0].dtype.isnative


def test_images_of_another_layout_get_the_one_that_is_meant():
    coloured = RNG.random((30, 4, 5, 3), np.float32)  # channels last
    cases = (
        (BYTES[:, 0], (1, 4, 4), BYTES),
        (coloured, (3, 4, 5), coloured.transpose(0, 3, 1, 2)),
        (BYTES, (16,), BYTES.reshape(30, 16)),
        (BYTES.reshape(30, 16), (1, 4, 4), BYTES),
    )
    for images, shape, meant in cases:
        net = Network([Flatten(), Dense(int(np.prod(shape)), 3)], shape)
        told = advice(lambda net=net, images=images: fit(net, images, LABELS, progress=False))
        np.testing.assert_array_equal(followed(told, inputs=images), meant)
        told = advice(lambda net=net, images=images: net.forward(images))
        np.testing.assert_array_equal(followed(told, x=images), meant)
    told = advice(lambda: network().forward(SCALED[0]))
    np.testing.assert_array_equal(followed(told, x=SCALED[0]), SCALED[:1])
    told = advice(lambda: network().forward(SCALED[0, 0]))
    np.testing.assert_array_equal(followed(told, x=SCALED[0, 0]), SCALED[:1])
    told = advice(lambda: Examples(coloured, LABELS, mean=(0, 0, 0), std=(1, 1, 1)))
    np.testing.assert_array_equal(followed(told, inputs=coloured), coloured.transpose(0, 3, 1, 2))


def test_validation_data_on_another_scale_are_refused():
    raw = BYTES.astype(np.float32)
    normalized = Examples(BYTES, LABELS, mean=(0.5,), std=(0.1,))
    right = [
        (Examples(BYTES, LABELS), (BYTES, LABELS)),
        (Examples(BYTES, LABELS), (SCALED * 1.1 - 0.05, LABELS)),  # with noise, perhaps
        (Examples(SCALED, LABELS), (BYTES, LABELS)),
        (Examples(raw, LABELS), (raw, LABELS)),
        (Examples(raw, LABELS, divisor=255), (BYTES, LABELS)),
        (normalized, ((SCALED - 0.5) / 0.1, LABELS)),
        (normalized, (normalized.first(9), None)),
    ]
    wrong = [
        (Examples(BYTES, LABELS), (raw, LABELS), "are 0 to 1 in a batch, got 0 to 255"),
        (Examples(BYTES, LABELS), Examples(raw, LABELS), "are 0 to 1 in a batch, got 0 to 255"),
        (Examples(raw, LABELS), (BYTES, LABELS), "are 0 to 1 in a batch, got 0 to 255"),
        (
            Examples(BYTES, LABELS),
            normalized,
            r"mean and std \(255.0, None, None\).*got \(255.0, \(0.5",
        ),
        (
            normalized,
            (BYTES, LABELS),
            r"mean and std \(255.0, \(0.5,\), \(0.1,\)\).*got \(255.0, N",
        ),
        (normalized, (raw, LABELS), "are -5 to 5 in a batch, got 0 to 255"),
    ]
    for examples, validation in right:
        expect_same_scale(as_examples("fit", *validation), examples)
    fit(network(), Examples(*right[0][1]), validation=right[0][1], epochs=1, progress=False)
    for examples, validation, message in wrong:
        with pytest.raises(ValueError, match=message):
            fit(network(), examples, validation=validation, epochs=1, progress=False)


def test_soft_labels_are_not_reduced_to_one_class():
    soft = np.full((30, 3), 1 / 3, np.float32)
    told = advice(lambda: fit(network(), BYTES, soft, progress=False))
    assert "BinaryCrossEntropy takes a probability for each output" in told
    assert "argmax" not in told
    for loss in (BinaryCrossEntropy(), MeanSquaredError()):
        fit(network(), BYTES, soft, loss=loss, epochs=1, progress=False)
    told = advice(lambda: fit(network(), BYTES, np.eye(3)[LABELS], progress=False))
    assert "targets.argmax(axis=1)" in told
    assert "astype" not in advice(lambda: fit(network(), BYTES, LABELS + 0.7, progress=False))
    told = advice(lambda: fit(network(), BYTES, LABELS + 0.0, progress=False))
    assert "for labels use targets.astype('int64')" in told


# -- data folders -----------------------------------------------------------------------------


def missing(name, folder) -> str:
    with pytest.raises(DatasetNotFound) as e:
        load(name, folder)
    return str(e.value)


def test_a_folder_one_level_too_high(make_cifar, make_idx, tmp_path):
    make_cifar("cifar-100", tmp_path / "data" / "cifar-100-binary")
    make_idx(tmp_path / "data" / "MNIST" / "raw")
    (tmp_path / "another").mkdir()
    for name, inside in (("cifar-100", "cifar-100-binary"), ("mnist", "MNIST/raw")):
        told = missing(name, tmp_path)
        assert f"; {tmp_path / 'data' / inside} has them: name {tmp_path / 'data'}." in told
        load(name, tmp_path / "data")


def test_a_file_in_place_of_a_folder(tmp_path):
    (tmp_path / "train.bin").touch()
    assert f"; {tmp_path / 'train.bin'} is a file: name its" in missing(
        "cifar-100", tmp_path / "train.bin"
    )


def test_the_pickles_of_cifar(tmp_path):
    for name, pickled in (("cifar-100", "cifar-100-python"), ("cifar-10", "cifar-10-batches-py")):
        (tmp_path / pickled).mkdir()
        for folder in (tmp_path, tmp_path / pickled):
            told = missing(name, folder)
            assert f"; {tmp_path / pickled} has the version for Python: pickles" in told
            assert "binary.tar.gz" in told
    assert "Python" not in missing("mnist", tmp_path)


def test_the_names_that_7_zip_gives(make_idx, tmp_path):
    made = make_idx(tmp_path)
    for path in list(tmp_path.iterdir()):
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    for _ in range(4):
        old, new = re.search(r"; rename (\S+) to (\S+), and", missing("mnist", tmp_path)).groups()
        (tmp_path / old).rename(tmp_path / new)
    made.check(load("mnist", tmp_path))
