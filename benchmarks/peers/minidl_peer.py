"""minidl: the step of ``minidl.training.train`` without its records."""

import numpy as np

import minidl
from minidl import Adam, Dense, Examples, Network, SoftmaxCrossEntropy


class MinidlPeer:
    def __init__(self, problem):
        shapes = [W.shape for W in problem.weights[::2]]
        hidden = [Dense(*shape, problem.activation) for shape in shapes[:-1]]
        self.network = Network([*hidden, Dense(*shapes[-1])], shapes[0][0])
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
