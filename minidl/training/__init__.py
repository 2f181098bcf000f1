"""Training: one step, the loop over epochs, evaluation, and related tools."""

from minidl.training.checkpoint import Checkpoint
from minidl.training.early_stopping import EarlyStopping
from minidl.training.evaluation import Evaluation, evaluate
from minidl.training.fit import fit
from minidl.training.history import FitHistory
from minidl.training.loop import Epoch, train
from minidl.training.nonfinite import NonFiniteLoss
from minidl.training.range_test import RangeTest, range_test
from minidl.training.schedules import CosineAnnealing, LinearWarmUp, StepDecay

__all__ = [
    "Checkpoint",
    "CosineAnnealing",
    "EarlyStopping",
    "Epoch",
    "Evaluation",
    "FitHistory",
    "LinearWarmUp",
    "NonFiniteLoss",
    "RangeTest",
    "StepDecay",
    "evaluate",
    "fit",
    "range_test",
    "train",
]
