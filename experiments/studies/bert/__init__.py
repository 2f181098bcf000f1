"""The activation function of a pretrained BERT's feed-forward part."""

from studies.bert.study import STUDY

__all__ = ["STUDY"]
