"""scikit-learn: ``MLPClassifier.partial_fit``, one batch at a time."""

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier


class SklearnPeer:
    def __init__(self, problem):
        self.images, self.labels = problem.images, problem.labels
        self.classes = np.arange(problem.weights[-1].size)
        self.network = MLPClassifier(
            hidden_layer_sizes=[b.size for b in problem.weights[1:-2:2]],
            activation={"relu": "relu", "sigmoid": "logistic"}[problem.activation],
            alpha=0.0,
            batch_size=problem.batch_size,
        )
        # A first step creates the arrays; then they get the common initial weights.
        rows = np.arange(problem.batch_size)
        self.network.partial_fit(self._draw(rows), self.labels[rows], classes=self.classes)
        network = self.network
        for mine, given in zip(network.coefs_, problem.weights[::2], strict=True):
            mine[...] = given
        for mine, given in zip(network.intercepts_, problem.weights[1::2], strict=True):
            mine[...] = given
        optimizer = network._optimizer
        optimizer.t = 0
        for moment in (*optimizer.ms, *optimizer.vs):
            moment[...] = 0

    def versions(self):
        return {"scikit-learn": sklearn.__version__}

    def _draw(self, rows):
        return self.images[rows].astype(np.float32) / np.float32(255)

    def run(self, rows):
        for batch in rows:
            self.network.partial_fit(self._draw(batch), self.labels[batch])

    def steps(self):
        return self.network._optimizer.t

    def loss(self, rows):
        p = self.network.predict_proba(self._draw(rows))
        return float(-np.log(p[np.arange(len(rows)), self.labels[rows]]).mean())


make = SklearnPeer
