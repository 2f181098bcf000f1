"""Training: the loop over epochs, one step, evaluation, and what goes with them."""

from minidl.training.early_stopping import EarlyStopping
from minidl.training.evaluation import Evaluation, evaluate
from minidl.training.loop import Epoch, train
from minidl.training.schedules import CosineAnnealing, LinearWarmUp, StepDecay, by_step
from minidl.training.step import NonFiniteLoss

__all__ = [
    "CosineAnnealing",
    "EarlyStopping",
    "Epoch",
    "Evaluation",
    "LinearWarmUp",
    "NonFiniteLoss",
    "StepDecay",
    "by_step",
    "evaluate",
    "train",
]
