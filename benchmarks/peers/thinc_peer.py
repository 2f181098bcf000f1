"""Thinc: the living NumPy peer without autograd."""

import numpy as np
import thinc.api as thinc


class ThincPeer:
    def __init__(self, problem):
        layer = {"relu": thinc.Relu, "sigmoid": thinc.Sigmoid}[problem.activation]
        sizes = [b.size for b in problem.weights[1::2]]
        self.images, self.labels = problem.images, problem.labels
        self.network = thinc.chain(*[layer(n) for n in sizes[:-1]], thinc.Softmax_v2(sizes[-1]))
        rows = np.arange(problem.batch_size)
        self.one_hot = np.eye(sizes[-1], dtype="float32")
        self.network.initialize(X=self._draw(rows), Y=self.one_hot[self.labels[rows]])
        for node, W, b in zip(
            self.network.layers, problem.weights[::2], problem.weights[1::2], strict=True
        ):
            node.set_param("W", np.ascontiguousarray(W.T))
            node.set_param("b", b)
        self.optimizer = thinc.Adam(1e-3, L2=0.0, grad_clip=0.0, use_averages=False)

    def versions(self):
        import thinc as package

        return {"thinc": package.__version__}

    def _draw(self, rows):
        return self.images[rows].astype(np.float32) / np.float32(255)

    def run(self, rows):
        for batch in rows:
            p, backprop = self.network.begin_update(self._draw(batch))
            backprop((p - self.one_hot[self.labels[batch]]) / np.float32(len(batch)))
            self.network.finish_update(self.optimizer)

    def steps(self):
        return max(self.optimizer.nr_update.values())

    def loss(self, rows):
        p = self.network.predict(self._draw(rows))
        return float(-np.log(p[np.arange(len(rows)), self.labels[rows]]).mean())


make = ThincPeer
