"""Signal propagation: what theory predicts of networks as they start, and what is measured."""

from studies.signal_propagation.study import STUDY

__all__ = ["STUDY"]
