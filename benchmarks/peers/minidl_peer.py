"""minidl: the steps of ``minidl.training.train``."""

import numpy as np

import minidl
from minidl import Adam, Dense, Examples, Network, SoftmaxCrossEntropy
from minidl.step import TrainingStep


class MinidlPeer:
    def __init__(self, problem, device="cpu", graph=True):
        shapes = [W.shape for W in problem.weights[::2]]
        hidden = [Dense(*shape, problem.activation) for shape in shapes[:-1]]
        self.network = Network([*hidden, Dense(*shapes[-1])], shapes[0][0], device=device)
        theta = np.concatenate([value.ravel() for value in problem.weights])
        self.network.theta[...] = self.network.device.asarray(theta)
        self.loss_function = SoftmaxCrossEntropy()
        examples = Examples(problem.images, problem.labels)
        batch_size = problem.batch_size
        self.step = TrainingStep(
            self.network, examples, self.loss_function, Adam(), batch_size, graph
        )

    def versions(self):
        found = {"minidl": minidl.__version__, "numpy": np.__version__}
        if self.network.device.is_cuda:
            found["cupy"] = self.network.device.xp.__version__
        return found

    def run(self, rows):
        # An epoch goes through all examples: these rows first, and it ends after them.
        order = np.zeros(len(self.step.examples), np.int64)
        order[: rows.size] = rows.ravel()
        self.step.losses.fill(0)
        with self.step.epoch(order):
            if not self.network.device.is_cuda:
                for _ in rows:
                    self.step()
                return None
            cuda = self.network.device.xp.cuda
            start = cuda.get_current_stream().record()
            for _ in rows:
                self.step()
            end = cuda.get_current_stream().record()
            end.synchronize()
        return cuda.get_elapsed_time(start, end) / 1e3

    def loss(self, rows):
        examples, device = self.step.examples, self.network.device
        x, labels = examples.draw(device.asarray(rows), self.network.dtype)
        return float(self.loss_function(self.network.forward(x), labels)[0])


make = MinidlPeer
