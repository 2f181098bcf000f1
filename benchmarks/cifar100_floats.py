"""CIFAR-100 as users of other libraries load it: float32 images from 0 to 1, all in memory."""

from pathlib import Path

import numpy as np


def load(folder):
    """x_train (50000, 3072), y_train (50000,), x_test (10000, 3072), y_test (10000,)."""
    arrays = []
    for name in ("train.bin", "test.bin"):
        path = Path(folder, "cifar-100-binary", name)
        records = np.fromfile(path, np.uint8).reshape(-1, 2 + 3072)
        arrays += [records[:, 2:].astype(np.float32) / 255, records[:, 1].astype(np.int64)]
    return arrays
