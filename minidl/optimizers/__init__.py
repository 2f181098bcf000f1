"""Update rules on the two flat vectors: θ ← θ − step(∇θ).

A rule is a loop of a few lines over the vectors (see :mod:`minidl.kernel`), and a class that
holds its hyperparameters.
"""

from minidl.optimizers._base import Optimizer, Rate
from minidl.optimizers.adam import Adam
from minidl.optimizers.adamw import AdamW, is_matrix
from minidl.optimizers.rmsprop import RMSprop
from minidl.optimizers.sgd import SGD

__all__ = ["OPTIMIZERS", "SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "Rate", "is_matrix"]

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
}
