"""minidl: the step of ``minidl.training.train`` without its records."""

import numpy as np

import minidl
from minidl import (
    Adam,
    Conv2D,
    Dense,
    Examples,
    Flatten,
    MaxPool2D,
    Network,
    SoftmaxCrossEntropy,
)


def layers(problem):
    f = problem.activation
    convolutions = [W for W in problem.weights if W.ndim == 4]
    *hidden, last = [W for W in problem.weights if W.ndim == 2]
    for W in convolutions:
        yield from (Conv2D(W.shape[1], W.shape[0], W.shape[2:], activation=f), MaxPool2D(2))
    if convolutions:
        yield Flatten()
    for W in hidden:
        yield Dense(*W.shape, f)
    yield Dense(*last.shape)


class MinidlPeer:
    def __init__(self, problem):
        self.network = Network(list(layers(problem)), problem.images.shape[1:])
        self.network.theta[...] = np.concatenate([v.ravel() for v in problem.weights])
        self.examples = Examples(problem.images, problem.labels)
        self.compute_loss = SoftmaxCrossEntropy()
        self.optimizer = Adam()

    def versions(self):
        return {"minidl": minidl.__version__, "numpy": np.__version__}

    def run(self, rows):
        network = self.network
        for batch in rows:
            x, labels = self.examples.draw(batch, network.dtype)
            _, dlogits = self.compute_loss(network.forward(x, training=True), labels)
            network.backward(dlogits)
            self.optimizer.step(network.theta, network.dtheta)

    def loss(self, rows):
        x, labels = self.examples.draw(rows, self.network.dtype)
        return float(self.compute_loss(self.network.forward(x), labels)[0])


make = MinidlPeer
