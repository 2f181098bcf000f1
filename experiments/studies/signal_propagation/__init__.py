"""Signal propagation: what theory predicts at initialization, and what is measured."""

from studies.signal_propagation.study import STUDY

__all__ = ["STUDY"]
