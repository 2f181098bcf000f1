"""minidl: fine-tuning steps of a BERT with given weights."""

import json

import numpy as np

import minidl
from minidl import SoftmaxCrossEntropy
from minidl.data import Sentences
from minidl.models import BertSizes, bert
from minidl.optimizers import AdamW, is_matrix
from minidl.training.step import TrainingStep


class BertPeer:
    """``rows[0]`` of a step says where its batch begins among the sentences sorted by length."""

    def __init__(self, problem):
        kind = json.loads(problem.kind)
        sizes = BertSizes(**kind["sizes"])
        self.network = bert(sizes, kind["classes"], dropout=kind["dropout"])
        for (_, _, value, _), given in zip(self.network.parameters(), problem.weights, strict=True):
            value[...] = given
        sentences = Sentences(problem.images, problem.labels, sizes.padding)
        self.optimizer = AdamW(2e-5, clip_norm=1.0, decays=is_matrix)
        self.optimizer.expect_network(self.network)
        parts = (self.network, sentences, SoftmaxCrossEntropy(), self.optimizer)
        self.step = TrainingStep(*parts, problem.batch_size)
        self.batch_size = problem.batch_size

    def versions(self):
        return {"minidl": minidl.__version__, "numpy": np.__version__}

    def _rows(self, start):
        last = len(self.step.examples) - self.batch_size
        return np.arange(self.batch_size) + min(start, last)

    def run(self, rows):
        for start in rows[:, 0]:
            with self.step.epoch(self._rows(start)):
                self.step()

    def steps(self):
        return self.optimizer.t

    def loss(self, rows):
        x, labels = self.step.examples.draw(self._rows(rows[0]), self.network.dtype)
        return float(self.step.loss(self.network.forward(x), labels)[0])


make = BertPeer
